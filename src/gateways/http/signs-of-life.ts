import type { Clock } from "../../core/ports/clock.ts";

/** After so long an answer begins, and so often it gets another sign. */
const SIGN_MS = 10_000;

/** Work that may take longer than clients and proxies wait in silence: `sign` is called each time that it has been quiet for too long. */
export async function withSigns<T>(clock: Clock, sign: () => void, work: () => Promise<T>): Promise<T> {
  const tick = (): void => {
    sign();
    cancel = clock.timer(SIGN_MS, tick);
  };
  let cancel = clock.timer(SIGN_MS, tick);
  try {
    return await work();
  } finally {
    cancel();
  }
}
