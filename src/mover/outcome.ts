import type { Program, Transaction } from "../kv/index.ts";

/** How an attempt at a job ended. `record` joins the transaction that settles the job. */
export type Outcome =
  | { readonly kind: "done"; readonly record?: (tx: Transaction) => Program<void>; readonly note?: string }
  /** Not now. Without `failures` it was nobody's fault. */
  | { readonly kind: "later"; readonly reason: string; readonly delayMs: number; readonly failures?: number }
  | Failed;

export interface Failed {
  readonly kind: "failed";
  readonly reason: string;
  readonly record?: (tx: Transaction) => Program<void>;
}

export function done(record?: (tx: Transaction) => Program<void>, note?: string): Outcome {
  return { kind: "done", ...(record === undefined ? {} : { record }), ...(note === undefined ? {} : { note }) };
}
