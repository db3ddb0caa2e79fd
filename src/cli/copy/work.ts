import type { Location } from "../location.ts";
import type { Progress } from "../progress.ts";

/** What one copy did, and what it could not do. */
export interface CopyTally {
  files: number;
  bytes: number;
  readonly pendingSites: Set<string>;
  /** One sentence for each that was left out. */
  readonly refused: string[];
}

export interface CopyWork {
  readonly from: Location;
  readonly to: Location;
  readonly tally: CopyTally;
  readonly progress: Progress;
}

/** Counts what passes. */
export async function* counted(source: AsyncIterable<Uint8Array>, progress: Progress): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    progress.advance(piece.length);
    yield piece;
  }
}
