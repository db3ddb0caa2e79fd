/**
 * Runs `work` for every item, at most `concurrency` at a time, and waits for all of them. The first failure stops new
 * ones from starting, be it of the work or of the items; it is thrown once those under way have ended, so that nothing
 * runs on behind the caller's back.
 */
export async function forEachBounded<T>(
  items: Iterable<T> | AsyncIterable<T>,
  concurrency: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failed = false;
  let failure: unknown;
  let index = 0;
  try {
    for await (const item of items) {
      if (failed) break;
      const task = work(item, index++)
        .catch((error: unknown) => {
          if (!failed) failure = error;
          failed = true;
        })
        .finally(() => running.delete(task));
      running.add(task);
      if (running.size >= concurrency) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
  }
  if (failed) throw failure;
}
