import type { Inode, SiteName, VersionId } from "../core/ids.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { claim, disown, isPlaceOf, placesOf, release } from "./owners.ts";
import { readContent, writeContent } from "./inodes.ts";
import type { Copy, FileVersion } from "./types.ts";

export interface SetCopy {
  readonly inode: Inode;
  readonly versionId: VersionId;
  readonly copy: Copy;
  readonly nowMs: number;
  /** What the caller has looked at: nothing is written when the bytes lie under another key by now, or are others there. Undefined: there was no copy. */
  readonly over?: Pick<Copy, "key" | "etag"> | undefined;
}

/**
 * Says where a version's bytes are at one site. False, and nothing is written, when that version is not the current one any more, or the
 * copy not the one that was looked at. Whatever becomes of
 * bytes that stay under their key, they are to be published where they were to be: `giveUpHome` alone ends that.
 */
export function* setCopy(tx: Transaction, order: SetCopy): Program<boolean> {
  const { inode, versionId, copy: wanted, nowMs } = order;
  const version = yield* readContent(tx, inode);
  if (version?.id !== versionId) return false;
  const before = version.copies.find((each) => each.site === wanted.site);
  if ("over" in order && !isSameObject(before, order.over)) return false;
  const copy = keepHome(wanted, before);
  yield* claim(tx, { inode, versionId, copy });
  const copies =
    before === undefined ? [...version.copies, copy] : version.copies.map((each) => (each === before ? copy : each));
  const changed: FileVersion = { ...version, copies };
  for (const place of before === undefined ? [] : placesOf(before))
    if (!isPlaceOf([copy], place)) yield* release(tx, { inode, version: changed, place, nowMs });
  writeContent(tx, inode, changed);
  return true;
}

function isSameObject(one: SetCopy["over"], other: SetCopy["over"]): boolean {
  return one?.key === other?.key && one?.etag === other?.etag;
}

function keepHome(copy: Copy, before: Copy | undefined): Copy {
  if (copy.home !== undefined || before?.home === undefined || before.key !== copy.key) return copy;
  const { home, replaces } = before;
  return { ...copy, home, ...(replaces === undefined ? {} : { replaces }) };
}

export interface GiveUpHome {
  readonly inode: Inode;
  readonly site: SiteName;
  readonly home: string;
  /** `buried`: what lies there was the file's, or hidden by it, and stays hidden. `left`: it is another tool's, and none of ours. */
  readonly as: "buried" | "left";
  readonly nowMs: number;
}

/** The copy is not to be published there any more. Resolves with the copy as it was, when it was to be. */
export function* giveUpHome(
  tx: Transaction,
  { inode, site, home: key, as, nowMs }: GiveUpHome,
): Program<Copy | undefined> {
  const version = yield* readContent(tx, inode);
  const copy = version?.copies.find((each) => each.site === site);
  if (version === undefined || copy?.home !== key || copy.key === key) return undefined;
  const { home: _home, replaces: _replaces, ...rest } = copy;
  const place = { site, key };
  if (as === "left") yield* disown(tx, inode, place);
  else yield* release(tx, { inode, version, place, nowMs });
  writeContent(tx, inode, { ...version, copies: version.copies.map((each) => (each === copy ? rest : each)) });
  return copy;
}

export interface RemoveCopy {
  readonly inode: Inode;
  readonly versionId: VersionId;
  readonly site: SiteName;
  readonly nowMs: number;
}

/** Forgets a copy, such as that of a site that was removed. Resolves with the copy that went. */
export function* removeCopy(tx: Transaction, { inode, versionId, site, nowMs }: RemoveCopy): Program<Copy | undefined> {
  const version = yield* readContent(tx, inode);
  if (version?.id !== versionId) return undefined;
  const gone = version.copies.find((each) => each.site === site);
  if (gone === undefined) return undefined;
  for (const place of placesOf(gone)) yield* release(tx, { inode, version, place, nowMs });
  writeContent(tx, inode, { ...version, copies: version.copies.filter((each) => each !== gone) });
  return gone;
}
