import { GfsError } from "../core/errors.ts";
import {
  BUDGET,
  type Key,
  type KvEntry,
  type LeaseId,
  type RangeQuery,
  type Reader,
  type Transaction,
  type Value,
} from "./kv.ts";
import { reader, type Snapshot } from "./program.ts";

/** The writes of one transaction, held back until it commits, and laid over what it reads. */

const FEW = 100;

export interface StagedPut {
  readonly key: Key;
  /** Undefined: the key is deleted. */
  readonly value: Value | undefined;
  readonly lease: LeaseId | undefined;
}

export interface Append {
  readonly prefix: Key;
  readonly value: Value;
}

export class Staged implements Snapshot {
  readonly #base: Snapshot;
  readonly #writes = new Map<string, StagedPut>();
  readonly #read = new Map<string, Value | undefined>();
  /** Staged keys in order, from the first range that is read on. */
  #ordered: StagedPut[] | undefined;
  /** What was staged since the last range was read. */
  #unordered: StagedPut[] = [];
  readonly appends: Append[] = [];
  #stagedBytes = 0;
  #discarded = 0;
  #claimsRoom = false;
  readonly leases = new Set<LeaseId>();
  readonly transaction: Transaction;

  /** With `readerOf` programs read without a stop. */
  constructor(base: Snapshot, reads: (own: Snapshot) => Reader = () => reader) {
    this.#base = base;
    this.transaction = {
      ...reads(this),
      put: (key, value, options) => this.#stage({ key, value, lease: options?.lease }),
      delete: (key) => this.#stage({ key, value: undefined, lease: undefined }),
      append: (prefix, value) => {
        checkSizes(prefix, value);
        this.appends.push({ prefix, value });
        this.#charge(prefix.byteLength + 8 + value.byteLength);
      },
      claimRoom: () => {
        this.#claimsRoom = true;
      },
      requireLease: (lease) => {
        this.leases.add(lease);
      },
      hasRoom: ({ writes, sizeBytes }) =>
        this.#count + writes <= BUDGET.writes && this.#stagedBytes + sizeBytes <= BUDGET.sizeBytes,
    };
  }

  get writes(): Iterable<StagedPut> {
    return this.#writes.values();
  }

  get isEmpty(): boolean {
    return this.#writes.size === 0 && this.appends.length === 0;
  }

  /** It may not use the room that is kept for deletes. */
  get claimsRoom(): boolean {
    return this.#claimsRoom;
  }

  get growsTable(): boolean {
    if (this.appends.length > 0) return true;
    for (const { value } of this.#writes.values()) if (value !== undefined) return true;
    return false;
  }

  /** Deletes what an ended lease left behind; no business of the program's, nor of its budget. */
  discard(key: Key): void {
    this.#write({ key, value: undefined, lease: undefined });
    this.#discarded += 1;
  }

  #stage(write: StagedPut): void {
    checkSizes(write.key, write.value);
    const before = this.#writes.get(nameOf(write.key));
    this.#write(write);
    this.#charge(sizeOf(write) - (before === undefined ? 0 : sizeOf(before)));
  }

  #write(write: StagedPut): void {
    this.#writes.set(nameOf(write.key), write);
    if (this.#ordered !== undefined) this.#unordered.push(write);
  }

  get #count(): number {
    return this.#writes.size - this.#discarded + this.appends.length;
  }

  #charge(sizeBytes: number): void {
    this.#stagedBytes += sizeBytes;
    if (this.#stagedBytes <= BUDGET.sizeBytes && this.#count <= BUDGET.writes) return;
    throw new GfsError(
      "TooLarge",
      `One transaction stages at most ${BUDGET.writes} writes and ${BUDGET.sizeBytes} bytes; split it.`,
    );
  }

  /** A key that is asked for twice is read once: programs are made of steps that each look for themselves. */
  get(key: Key): Value | undefined {
    const name = nameOf(key);
    const staged = this.#writes.get(name);
    if (staged !== undefined) return staged.value;
    const known = this.#read.get(name);
    if (known !== undefined || this.#read.has(name)) return known;
    const value = this.#base.get(key);
    this.#read.set(name, value);
    return value;
  }

  range(query: RangeQuery): KvEntry[] {
    if (this.#writes.size === 0) return this.#base.range(query);
    const staged = this.#stagedWithin(query);
    if (staged.length === 0) return this.#base.range(query);
    return this.#merge(query, query.reverse === true ? staged.toReversed() : staged);
  }

  #stagedWithin(query: RangeQuery): StagedPut[] {
    const ordered = this.#inOrder();
    const from = lowerBound(ordered, query.start);
    const to = lowerBound(ordered, query.end);
    return ordered.slice(from, to);
  }

  /** A few new keys are put in their places: a transaction that reads a range after each of many writes must not sort them all each time. */
  #inOrder(): StagedPut[] {
    if (this.#ordered === undefined || this.#unordered.length > FEW) {
      this.#ordered = [...this.#writes.values()].sort((one, other) => Buffer.compare(one.key, other.key));
      this.#unordered = [];
      return this.#ordered;
    }
    const ordered = this.#ordered;
    for (const write of this.#unordered) {
      const index = lowerBound(ordered, write.key);
      const found = ordered[index];
      const replaces = found !== undefined && Buffer.compare(found.key, write.key) === 0;
      ordered.splice(index, replaces ? 1 : 0, write);
    }
    this.#unordered = [];
    return ordered;
  }

  /** Staged deletes hide base entries, so the base is read in pages until enough are left. */
  #merge(query: RangeQuery, staged: readonly StagedPut[]): KvEntry[] {
    const direction = query.reverse === true ? -1 : 1;
    const base = new BaseCursor(this.#base, query);
    const merged: KvEntry[] = [];
    let index = 0;
    while (merged.length < query.limit) {
      const own = staged[index];
      const below = base.peek();
      if (own === undefined && below === undefined) break;
      const order = own === undefined ? 1 : below === undefined ? -1 : Buffer.compare(own.key, below.key) * direction;
      if (order <= 0) {
        index += 1;
        if (order === 0) base.advance();
        const write = own as StagedPut;
        if (write.value !== undefined) merged.push({ key: write.key, value: write.value });
      } else {
        merged.push(below as KvEntry);
        base.advance();
      }
    }
    return merged;
  }
}

/** Pages grow, as the first ones may be nothing but entries that the transaction has deleted. */
class BaseCursor {
  readonly #base: Snapshot;
  #query: RangeQuery;
  #page: KvEntry[];
  #index = 0;

  constructor(base: Snapshot, query: RangeQuery) {
    this.#base = base;
    this.#query = query;
    this.#page = base.range(query);
  }

  peek(): KvEntry | undefined {
    if (this.#index === this.#page.length && this.#page.length === this.#query.limit) {
      const last = (this.#page.at(-1) as KvEntry).key;
      const limit = Math.min(LARGEST_PAGE, this.#query.limit * 2);
      this.#query =
        this.#query.reverse === true
          ? { ...this.#query, limit, end: last }
          : { ...this.#query, limit, start: successor(last) };
      this.#page = this.#base.range(this.#query);
      this.#index = 0;
    }
    return this.#page[this.#index];
  }

  advance(): void {
    this.#index += 1;
  }
}

const LARGEST_PAGE = 10_000;

function successor(key: Key): Key {
  const next = Buffer.alloc(key.byteLength + 1);
  next.set(key);
  return next;
}

function lowerBound(ordered: readonly StagedPut[], key: Key): number {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare((ordered[middle] as StagedPut).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nameOf(key: Key): string {
  const bytes = Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  return bytes.toString("latin1");
}

function sizeOf({ key, value }: StagedPut): number {
  return key.byteLength + (value?.byteLength ?? 0);
}

function checkSizes(key: Key, value: Value | undefined): void {
  if (key.byteLength === 0 || key.byteLength > BUDGET.keyBytes) {
    throw new GfsError("TooLarge", `A key has 1 to ${BUDGET.keyBytes} bytes, not ${key.byteLength}.`);
  }
  if (value !== undefined && value.byteLength > BUDGET.valueBytes) {
    throw new GfsError("TooLarge", `A value has at most ${BUDGET.valueBytes} bytes, not ${value.byteLength}.`);
  }
}
