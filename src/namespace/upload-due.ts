import type { FilePath, VersionId } from "../core/ids.ts";
import { decodeKey, encodeKey, type Key, keyAfter, prefixRange, type Program, type Reader } from "../kv/index.ts";
import { tail, type Transaction } from "../kv/index.ts";

/** Which uploads have to be looked at, and when, so that nobody has to go through all of them. */

const BEGUN = "ut";
const ENDED = "ux";
const HOMELESS = "ug";

export const begunSpace = encodeKey(BEGUN);
export const endedTimeSpace = encodeKey(ENDED);
export const homelessSpace = encodeKey(HOMELESS);

const NOTHING = Buffer.alloc(0);

export interface BegunUpload {
  readonly startedMs: number;
  readonly path: FilePath;
  readonly uploadId: VersionId;
}

export function begunKey({ startedMs, path, uploadId }: BegunUpload): Key {
  return encodeKey(BEGUN, startedMs, path, tail(uploadId));
}

export function begunOfKey(key: Key): BegunUpload {
  const [startedMs, path, uploadId] = decodeKey(key, ["number", "string", "tail"]);
  return { startedMs: startedMs as number, path: path as FilePath, uploadId: uploadId as VersionId };
}

export function putBegun(tx: Transaction, upload: BegunUpload): void {
  tx.put(begunKey(upload), NOTHING);
}

export function dropBegun(tx: Transaction, upload: BegunUpload): void {
  tx.delete(begunKey(upload));
}

export interface DuePage {
  readonly untilMs: number;
  readonly limit: number;
}

/** Uploads under way that had begun by then, the oldest first. */
export function* oldUploads(
  tx: Reader,
  { untilMs, limit, after }: DuePage & { readonly after?: BegunUpload | undefined },
): Program<BegunUpload[]> {
  const start = after === undefined ? begunSpace : keyAfter(begunKey(after));
  const rows = yield* tx.range({ start, end: encodeKey(BEGUN, untilMs + 1), limit });
  return rows.map(({ key }) => begunOfKey(key));
}

export interface EndedTime {
  /** 0 while its parts are still to be taken away. */
  readonly endedMs: number;
  readonly uploadId: VersionId;
}

export function endedTimeKey({ endedMs, uploadId }: EndedTime): Key {
  return encodeKey(ENDED, endedMs, tail(uploadId));
}

export function endedTimeOfKey(key: Key): EndedTime {
  const [endedMs, uploadId] = decodeKey(key, ["number", "tail"]);
  return { endedMs: endedMs as number, uploadId: uploadId as VersionId };
}

export function putEndedTime(tx: Transaction, ended: EndedTime): void {
  tx.put(endedTimeKey(ended), NOTHING);
}

export function dropEndedTime(tx: Transaction, ended: EndedTime): void {
  tx.delete(endedTimeKey(ended));
}

/** Of uploads that had ended by then, first those that have left parts behind. */
export function* oldEnded(tx: Reader, { untilMs, limit }: DuePage): Program<EndedTime[]> {
  const rows = yield* tx.range({ start: endedTimeSpace, end: encodeKey(ENDED, untilMs + 1), limit });
  return rows.map(({ key }) => endedTimeOfKey(key));
}

/** A directory at the top has lost its name while uploads into it were under way. */
export function markHomeless(tx: Transaction, bucket: string): void {
  tx.append(encodeKey(HOMELESS, bucket), NOTHING);
}

export interface Homeless {
  readonly bucket: string;
  readonly key: Key;
}

export function* homelessBuckets(tx: Reader, limit: number): Program<Homeless[]> {
  const rows = yield* tx.range({ ...prefixRange(homelessSpace), limit });
  return rows.map(({ key }) => ({ bucket: decodeKey(key, ["string", "number"])[0] as string, key }));
}
