import { systemClock } from "../../../src/core/ports/clock.ts";

const TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** What happens in another process can only be looked for. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + TIMEOUT_MS;
  while (!(await holds())) {
    if (systemClock.monotonicMs() > endMs) throw new Error(`It did not come to that: ${what}.`);
    await systemClock.sleep(POLL_MS);
  }
}
