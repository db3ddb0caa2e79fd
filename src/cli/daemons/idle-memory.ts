import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";

/**
 * Gives memory back after a rush. Two hold what nobody uses any more: V8 collects garbage when it allocates, and after a rush nothing does; and the
 * allocator of the C library keeps what was freed in the arenas from which it came, as long as anything lies above it there. Both are asked to let go
 * once the process has been quiet for a while and is larger than it was.
 */
export interface IdleMemory {
  stop(): void;
}

export interface IdleMemoryDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly residentBytes: () => number;
  /** Processor time of this process so far. */
  readonly busyMs: () => number;
  readonly letGo: () => Promise<void>;
}

const LOOK_MS = 10_000;
const QUIET_SHARE = 0.1;
const SWEEP_MS = 500;
/** Less is not worth the pause. */
const WORTH_BYTES = 32 * 1024 ** 2;

export function watchIdleMemory({ clock, log, residentBytes, busyMs, letGo }: IdleMemoryDeps): IdleMemory {
  let leastBytes = residentBytes();
  let lastBusyMs = busyMs();
  let lastLookMs = clock.monotonicMs();
  let stopped = false;
  let cancel: () => void = () => undefined;

  const look = async (): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const nowBusyMs = busyMs();
    const isQuiet = nowBusyMs - lastBusyMs < (nowMs - lastLookMs) * QUIET_SHARE;
    lastBusyMs = nowBusyMs;
    lastLookMs = nowMs;
    const beforeBytes = residentBytes();
    leastBytes = Math.min(leastBytes, beforeBytes);
    if (!isQuiet || beforeBytes < leastBytes + WORTH_BYTES) return;
    await letGo();
    // What is left now is in use, and asking again would change nothing.
    leastBytes = residentBytes();
    log.debug("memory_given_back", { beforeBytes, residentBytes: leastBytes });
  };
  const arm = (): void => {
    cancel = clock.timer(LOOK_MS, () => void look().finally(() => (stopped ? undefined : arm())));
  };
  arm();
  return {
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/** Nothing but what this process holds; elsewhere than with glibc only V8 is asked. */
export async function memoryOfThisProcess(clock: Clock): Promise<Omit<IdleMemoryDeps, "clock" | "log">> {
  const trim = await findTrim();
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  return {
    residentBytes: () => process.memoryUsage.rss(),
    busyMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    async letGo() {
      collect();
      // V8 frees the memory of buffers in the background.
      await clock.sleep(SWEEP_MS);
      await trim();
    },
  };
}

async function findTrim(): Promise<() => Promise<void>> {
  if (process.platform !== "linux") return () => Promise.resolve();
  try {
    const { default: koffi } = await import("koffi");
    const call = koffi.load(null).func("malloc_trim", "int", ["size_t"]);
    // In a thread of its own: walking the arenas takes some milliseconds.
    return async () => await new Promise((resolve) => call.async(0, () => resolve()));
  } catch {
    return () => Promise.resolve();
  }
}
