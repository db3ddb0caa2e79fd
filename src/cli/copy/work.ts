import type { Client } from "@globalfs/client";
import type { CliContext } from "../context.ts";
import type { Progress } from "../progress.ts";
import type { Tally } from "../tally.ts";

/** What every step of a copy needs. */
export interface CopyWork {
  readonly context: CliContext;
  readonly client: Client;
  readonly tally: Tally;
  /** Of bytes; what is sent again counts once. */
  readonly progress: Progress;
}

/** Copies one file; it counts, with its bytes, once it is there. */
export async function copyCounted(work: CopyWork, copy: (work: CopyWork) => Promise<void>): Promise<void> {
  let passedBytes = 0;
  const progress = {
    ...work.progress,
    advance(amount: number) {
      passedBytes += amount;
      work.progress.advance(amount);
    },
  };
  await copy({ ...work, progress });
  work.tally.done += 1;
  work.tally.bytes += passedBytes;
}

/** Counts what passes. */
export async function* counted(
  source: AsyncIterable<Uint8Array>,
  progress: Pick<Progress, "advance">,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    progress.advance(piece.length);
    yield piece;
  }
}

/** Counts each time what passes from the beginning, so that what is sent again counts once. Nothing is opened before it is read. */
export function countedFromTheBeginning(
  open: () => AsyncIterable<Uint8Array>,
  progress: Pick<Progress, "advance">,
): () => AsyncGenerator<Uint8Array> {
  let passedBytes = 0;
  return async function* () {
    progress.advance(-passedBytes);
    passedBytes = 0;
    for await (const piece of open()) {
      passedBytes += piece.length;
      progress.advance(piece.length);
      yield piece;
    }
  };
}
