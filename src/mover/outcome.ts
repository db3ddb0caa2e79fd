import type { Ctx } from "../core/context.ts";
import type { Program, Transaction } from "../kv/index.ts";

/** How an attempt at a job ended. `record` joins the transaction that settles the job, with those of other jobs. */
export type Outcome =
  | Done
  /** Not now. Without `failures` it was nobody's fault. */
  | { readonly kind: "later"; readonly reason: string; readonly delayMs: number; readonly failures?: number }
  | Failed;

export interface Done {
  readonly kind: "done";
  readonly record?: (tx: Transaction) => Program<void>;
  readonly note?: string;
  /** Resolves once what was done at the site outlives a loss of power; nothing is settled before. Jobs wait for it together. */
  readonly stays?: (ctx: Ctx) => Promise<void>;
  /** What is left to do once that is settled, and durable. Nobody does it when the process dies before. */
  readonly after?: (ctx: Ctx) => Promise<void>;
}

export interface Failed {
  readonly kind: "failed";
  readonly reason: string;
  readonly record?: (tx: Transaction) => Program<void>;
}

export function done(record?: (tx: Transaction) => Program<void>, note?: string): Done {
  return { kind: "done", ...(record === undefined ? {} : { record }), ...(note === undefined ? {} : { note }) };
}
