import type { Random } from "../../../src/core/ports/random.ts";
import {
  answer,
  type Key,
  type KvAnswer,
  type KvRead,
  type Program,
  type KvEntry,
  type Snapshot,
  Staged,
  type Transaction,
  type Value,
} from "../../../src/kv/index.ts";

/**
 * Runs programs at the same time, one read of one of them after the other, as an optimistic engine does: a program that ends is checked by
 * asking all its reads again; when an answer has changed it runs anew. The order comes from a seed.
 */
export interface SharedTable extends Snapshot {
  set(key: Key, value: Value): void;
  delete(key: Key): void;
}

interface Run<T> {
  readonly make: Make<T>;
  readonly step: number;
  staged: Staged;
  program: Program<T>;
  at: IteratorResult<KvRead, T> | undefined;
  reads: { readonly read: KvRead; readonly seen: KvAnswer }[];
}

export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

type Make<T> = (tx: Transaction) => Program<T>;

export function runInterleaved<T>(
  table: SharedTable,
  programs: readonly Make<T>[],
  random: Random,
): { readonly outcomes: Outcome<T>[]; readonly reruns: number; readonly commitOrder: number[] } {
  const actors = programs.map((make) => [make]);
  const { finished, reruns } = runActors(table, actors, random);
  const outcomes: Outcome<T>[] = [];
  for (const { actor, outcome } of finished) outcomes[actor] = outcome;
  const committed = finished.filter(({ outcome }) => !("error" in outcome));
  return { outcomes, reruns, commitOrder: committed.map(({ actor }) => actor) };
}

export interface Finished<T> {
  readonly actor: number;
  /** Which of the actor's programs. */
  readonly step: number;
  readonly outcome: Outcome<T>;
}

/** Each actor runs its programs one after the other. What ended, also with an error, is given in the order in which all would have run alone. */
export function runActors<T>(
  table: SharedTable,
  actors: readonly (readonly Make<T>[])[],
  random: Random,
): { readonly finished: readonly Finished<T>[]; readonly reruns: number } {
  const finished: Finished<T>[] = [];
  let reruns = 0;
  let appended = 0;
  const begin = (actor: number, step: number): void => {
    const make = actors[actor]?.[step];
    if (make === undefined) return void running.delete(actor);
    const reads: Run<T>["reads"] = [];
    // What is asked of the table and not of the transaction: where it hides rows that it deleted itself, it looks further than its program does.
    const staged = new Staged({
      get: (key) => {
        const seen = table.get(key);
        reads.push({ read: { kind: "get", key }, seen });
        return seen;
      },
      range: (query) => {
        const seen = table.range(query);
        reads.push({ read: { kind: "range", query }, seen });
        return seen;
      },
    });
    running.set(actor, { make, step, staged, program: make(staged.transaction), at: undefined, reads });
  };
  const running = new Map<number, Run<T>>();
  for (const actor of actors.keys()) begin(actor, 0);

  const unchanged = (run: Run<T>): boolean =>
    run.reads.every(({ read, seen }) => sameAnswer(answer(table, read), seen));
  const finish = (index: number, run: Run<T>, outcome: Outcome<T>): void => {
    if (!unchanged(run)) {
      reruns += 1;
      begin(index, run.step);
      return;
    }
    finished.push({ actor: index, step: run.step, outcome });
    if (!("error" in outcome)) write(run);
    begin(index, run.step + 1);
  };
  const write = (run: Run<T>): void => {
    for (const { key, value } of run.staged.writes) {
      if (value === undefined) table.delete(key);
      else table.set(key, value);
    }
    for (const { prefix, value } of run.staged.appends) {
      appended += 1;
      const suffix = Buffer.alloc(8);
      suffix.writeUInt32BE(appended, 4);
      table.set(Buffer.concat([prefix, suffix]), value);
    }
  };

  while (running.size > 0) {
    const candidates = [...running.keys()];
    const index = candidates[Math.floor(random.fraction() * candidates.length)] as number;
    const run = running.get(index) as Run<T>;
    try {
      if (run.at === undefined) run.at = run.program.next();
      else if (run.at.done !== true) {
        run.at = run.program.next(answer(run.staged, run.at.value));
      }
      if (run.at.done === true) finish(index, run, { value: run.at.value });
    } catch (error) {
      finish(index, run, { error });
    }
  }
  return { finished, reruns };
}

function sameAnswer(one: KvAnswer, other: KvAnswer): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, index) => sameRow(each, other[index]));
  }
  return sameRow(one as Row, other as Row);
}

type Row = KvEntry | Value | undefined;

function sameRow(one: Row, other: Row): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one instanceof Uint8Array || other instanceof Uint8Array)
    return Buffer.compare(one as Uint8Array, other as Uint8Array) === 0;
  return Buffer.compare(one.key, other.key) === 0 && Buffer.compare(one.value, other.value) === 0;
}
