import type { Clock } from "../core/ports/clock.ts";
import {
  decodeKey,
  encodeKey,
  type Key,
  type LeaseId,
  prefixRange,
  type Program,
  type Reader,
  tail,
  type Transaction,
} from "../kv/index.ts";
import { decodeNumber, encodeNumber } from "./rows.ts";

/**
 * Processes that put objects at sites before the catalog knows them. Each has a tag, which the ids of all its versions carry: whoever meets an object
 * without an owner can tell whether its writer may yet make a version of it. While the tag lives by its writer's lease, nobody touches such an object; a
 * commit is refused once the lease has ended, so that afterwards the object is nobody's for good.
 */

const WRITER = "w";
const LIVING = "wl";

const TIME_LENGTH = 10;
export const TAG_LENGTH = 8;
/** Of the ids of uploads in parts: who completes one need not be who began it. */
export const NO_WRITER = "0".repeat(TAG_LENGTH);

export function tagOf(versionId: string): string {
  return versionId.slice(TIME_LENGTH, TIME_LENGTH + TAG_LENGTH);
}

export function withTag(id: string, tag: string): string {
  return `${id.slice(0, TIME_LENGTH)}${tag}${id.slice(TIME_LENGTH + TAG_LENGTH)}`;
}

function writerKey(tag: string): Key {
  return encodeKey(WRITER, tail(tag));
}

function livingKey(tag: string): Key {
  return encodeKey(LIVING, tail(tag));
}

export interface NewWriter {
  readonly tag: string;
  readonly lease: LeaseId;
  /** For people. */
  readonly identity: string;
  readonly nowMs: ReturnType<Clock["nowMs"]>;
}

/** False when the tag is one that a writer has or had whose objects were not looked for yet. */
export function* enterWriter(tx: Transaction, { tag, lease, identity, nowMs }: NewWriter): Program<boolean> {
  if (tag === NO_WRITER || (yield* tx.get(writerKey(tag))) !== undefined) return false;
  tx.put(writerKey(tag), Buffer.from(JSON.stringify({ identity, sinceMs: Math.floor(nowMs) })));
  tx.put(livingKey(tag), Buffer.alloc(0), { lease });
  return true;
}

export function* isWriterAlive(tx: Reader, tag: string): Program<boolean> {
  return (yield* tx.get(livingKey(tag))) !== undefined;
}

/** Of one that left nothing behind, or whose objects have been looked for. */
export function dropWriter(tx: Transaction, tag: string): void {
  tx.delete(writerKey(tag));
}

const WRITERS_AT_ONCE = 1_000;

/** Writers that ended without saying that they left nothing behind. */
export function* deadWriters(tx: Reader): Program<string[]> {
  const dead: string[] = [];
  for (const { key } of yield* tx.range({ ...prefixRange(encodeKey(WRITER)), limit: WRITERS_AT_ONCE })) {
    const [tag] = decodeKey(key, ["tail"]) as [string];
    if (!(yield* isWriterAlive(tx, tag))) dead.push(tag);
  }
  return dead;
}

const STRAYS = encodeKey("n", "strays");

/** Until this moment something may have come to lie at a site that no row tells of: a writer has died, a removal was given up, the site is new. */
export function* straysUntilMs(tx: Reader): Program<number | undefined> {
  const row = yield* tx.get(STRAYS);
  return row === undefined ? undefined : decodeNumber(row);
}

export function suspectStrays(tx: Transaction, nowMs: number): void {
  tx.put(STRAYS, encodeNumber(Math.floor(nowMs)));
}
