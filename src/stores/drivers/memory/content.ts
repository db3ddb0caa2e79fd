import { randomBytes } from "node:crypto";
import type { Clock } from "../../../core/ports/clock.ts";
import { checkConditions } from "../../conditions.ts";
import { checkObjectKey, compareKeys } from "../../object-key.ts";
import type { ObjectInfo, WriteAttributes, WriteConditions } from "../../store.ts";
import { full, noObject } from "./failures.ts";

export interface StoredObject {
  readonly info: ObjectInfo;
  readonly bytes: Buffer;
}

/** The objects, and how much room they and what is on its way to them take. */
export class MemoryContent {
  readonly maxBytes: number;
  readonly #clock: Clock;
  readonly #objects = new Map<string, StoredObject>();
  /** Sorted when a listing needs it and a key has come or gone since. */
  #sorted: string[] | undefined = [];
  #usedBytes = 0;

  constructor(maxBytes: number, clock: Clock) {
    this.maxBytes = maxBytes;
    this.#clock = clock;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes room; what was not needed in the end is given back as a negative size. */
  charge(sizeBytes: number): void {
    if (sizeBytes > 0 && this.#usedBytes + sizeBytes > this.maxBytes) throw full(this.maxBytes, "store.write");
    this.#usedBytes += sizeBytes;
  }

  find(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  get(key: string): StoredObject {
    checkObjectKey(key);
    const found = this.#objects.get(key);
    if (found === undefined) throw noObject(key);
    return found;
  }

  /** The bytes are charged already. */
  put(
    key: string,
    bytes: Buffer,
    attributes: WriteAttributes & { readonly sha256?: string | undefined },
    conditions?: WriteConditions,
  ): ObjectInfo {
    const before = this.#objects.get(key);
    checkConditions(conditions, before?.info);
    const { contentType, metadata, sha256 } = attributes;
    const info: ObjectInfo = {
      key,
      sizeBytes: bytes.length,
      etag: sha256?.slice(0, 32) ?? randomBytes(16).toString("hex"),
      modifiedMs: this.#clock.nowMs(),
      metadata: metadata ?? {},
      ...(contentType === undefined ? {} : { contentType }),
      ...(sha256 === undefined ? {} : { sha256 }),
    };
    if (before === undefined) this.#sorted = undefined;
    else this.#usedBytes -= before.bytes.length;
    this.#objects.set(key, { info, bytes });
    return info;
  }

  delete(key: string, ifMatch: string | undefined): void {
    checkObjectKey(key);
    const found = this.#objects.get(key);
    if (found === undefined) return;
    if (ifMatch !== undefined) checkConditions({ ifMatch }, found.info);
    this.#objects.delete(key);
    this.#usedBytes -= found.bytes.length;
    this.#sorted = undefined;
  }

  /** In the order of their UTF-8 bytes. */
  get keys(): readonly string[] {
    this.#sorted ??= [...this.#objects.keys()].sort(compareKeys);
    return this.#sorted;
  }

  clear(): void {
    this.#objects.clear();
    this.#sorted = [];
    this.#usedBytes = 0;
  }
}
