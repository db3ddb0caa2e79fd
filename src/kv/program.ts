import { GfsError } from "../core/errors.ts";
import type { Key, KvAnswer, KvEntry, KvRead, Program, RangeQuery, Reader, Value } from "./kv.ts";

/** Drives programs: the one place that knows how a generator's reads are answered. */

/** One consistent state of the data, whose answers are at hand. */
export interface Snapshot {
  get(key: Key): Value | undefined;
  range(query: RangeQuery): KvEntry[];
}

/** What programs read through: each call yields one read to the driver. */
export const reader: Reader = {
  *get(key) {
    return (yield { kind: "get", key }) as Value | undefined;
  },
  *getMany(keys) {
    return keys.length === 0 ? [] : ((yield { kind: "many", keys }) as (Value | undefined)[]);
  },
  *range(query) {
    return (yield { kind: "range", query }) as KvEntry[];
  },
};

/** A read that is answered: both the iterator and its only result, so that a read costs one small object, and no step through the programs above. */
class Answered<T> {
  readonly done = true;
  readonly value: T;

  constructor(value: T) {
    this.value = value;
  }

  next(): this {
    return this;
  }

  [Symbol.iterator](): this {
    return this;
  }
}

function answered<T extends KvAnswer>(value: T): Program<T> {
  return new Answered(value) as unknown as Program<T>;
}

/** What programs read through where the answers are at hand: they run to their end without a stop. */
export function readerOf(snapshot: Snapshot): Reader {
  return {
    get: (key) => answered(snapshot.get(key)),
    getMany(keys) {
      checkCount(keys.length);
      return answered(keys.map((key) => snapshot.get(key)));
    },
    range(query) {
      checkRange(query);
      return answered(snapshot.range(query));
    },
  };
}

const MAX_RANGE_LIMIT = 10_000;

export function answer(snapshot: Snapshot, read: KvRead): KvAnswer {
  if (read.kind === "get") return snapshot.get(read.key);
  if (read.kind === "many") {
    checkCount(read.keys.length);
    return read.keys.map((key) => snapshot.get(key));
  }
  checkRange(read.query);
  return snapshot.range(read.query);
}

function checkCount(count: number): void {
  if (count > MAX_RANGE_LIMIT) {
    throw new GfsError("InvalidArgument", `One read takes at most ${MAX_RANGE_LIMIT} keys, not ${count}; split it.`);
  }
}

function checkRange(query: RangeQuery): void {
  if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > MAX_RANGE_LIMIT) {
    throw new GfsError(
      "InvalidArgument",
      `A range returns 1 to ${MAX_RANGE_LIMIT} entries, not ${query.limit}; page for more.`,
    );
  }
}

/** Runs a program to its end without a promise. */
export function runSync<T>(program: Program<T>, snapshot: Snapshot): T {
  let step = program.next();
  while (step.done !== true) {
    let found: KvAnswer;
    try {
      found = answer(snapshot, step.value);
    } catch (error) {
      step = program.throw(error);
      continue;
    }
    step = program.next(found);
  }
  return step.value;
}

/** Runs a program whose answers take a while, one read after the other. */
export async function runAsync<T>(program: Program<T>, read: (request: KvRead) => Promise<KvAnswer>): Promise<T> {
  let step = program.next();
  while (step.done !== true) {
    let found: KvAnswer;
    try {
      found = await read(step.value);
    } catch (error) {
      step = program.throw(error);
      continue;
    }
    step = program.next(found);
  }
  return step.value;
}
