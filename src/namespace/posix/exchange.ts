import { GfsError } from "../../core/errors.ts";
import type { FilePath, VersionId } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { bucketOf, hasBucketRow, keepsVersions, rulesOf } from "../bucket-rows.ts";
import { recordChange } from "../changes.ts";
import { checkDirectoryRules } from "../directory-rules.ts";
import { getEntered, writeContent } from "../inodes.ts";
import { moveName, type Place } from "../names.ts";
import { leaveHomes, withoutOldHome } from "../homes.ts";
import { coverPast } from "../past-directories.ts";
import { countQuotas } from "../quota-rows.ts";
import type { FileRecord, ObjectPlace } from "../types.ts";
import { assertWithinQuotas, usageWith } from "../usage.ts";
import { minus, sum } from "../usage-rows.ts";
import { type Child, getChild, getDirectory, makeExplicit, pathOfChild, placeOf } from "./child.ts";
import { assertMayMove, assertMayRemove } from "./entering.ts";
import type { Credentials } from "./permissions.ts";
import { intoItself, isBelow } from "./rename.ts";

export interface Exchange {
  readonly one: Child;
  readonly other: Child;
  readonly now: Moment;
  /** Sorts after every version that was written until now. */
  readonly tombstoneVersionId: VersionId;
}

export interface Exchanged {
  /** As they are now: `one` is what hangs at the first name. */
  readonly one: FileRecord;
  readonly other: FileRecord;
  /** What lies under names where it is not to be published any more. */
  readonly orphans: readonly ObjectPlace[];
}

/** No name can have a slash, so nothing is in the way there. */
const ASIDE = "/";

/** RENAME_EXCHANGE: each of two names leads to what the other one led to. Both are there, and they may be of different kinds. */
export function* exchange(tx: Transaction, request: Exchange, who?: Credentials): Program<Exchanged> {
  const { one, other, now } = request;
  const first = yield* getEntered(tx, yield* getChild(tx, one));
  const second = yield* getEntered(tx, yield* getChild(tx, other));
  if (first.kind === "directory" && (yield* isBelow(tx, other.parent, first.inode))) throw intoItself();
  if (second.kind === "directory" && (yield* isBelow(tx, one.parent, second.inode))) throw intoItself();
  if (first.inode === second.inode) return { one: first, other: second, orphans: [] };
  if (who !== undefined) {
    for (const child of [one, other]) yield* assertMayRemove(tx, who, child);
    yield* assertMayMove(tx, who, { from: one, to: other });
    yield* assertMayMove(tx, who, { from: other, to: one });
  }
  const paths = [yield* pathOfChild(tx, one), yield* pathOfChild(tx, other)] as const;
  yield* assertExchangeable(tx, paths, first.kind === "directory" && second.kind === "directory");
  for (const parent of new Set([one.parent, other.parent]))
    yield* makeExplicit(tx, yield* getDirectory(tx, parent), now);

  // What was left behind by directories of these names goes along with those that have them now.
  for (const [child, { kind, inode }] of [[one, first] as const, [other, second] as const])
    if (kind === "directory") yield* coverPast(tx, placeOf(child, kind), inode);
  const aside: Place = placeOf({ parent: one.parent, name: ASIDE }, first.kind);
  const waiting = yield* moveName(tx, { source: placeOf(one, first.kind), target: aside }, first, now);
  const here = { source: placeOf(other, second.kind), target: placeOf(one, second.kind) };
  const nowFirst = yield* moveName(tx, here, second, now);
  const nowSecond = yield* moveName(tx, { source: aside, target: placeOf(other, first.kind) }, waiting, now);
  if ((yield* countQuotas(tx)) > 0) {
    const more = sum(yield* usageWith(tx, second), minus(yield* usageWith(tx, first)));
    yield* assertWithinQuotas(tx, one.parent, more, other.parent);
    yield* assertWithinQuotas(tx, other.parent, minus(more), one.parent);
  }
  const [leftBySecond, arrivedFirst] = yield* settle(tx, nowFirst, { ...request, from: paths[1], to: paths[0] });
  const [leftByFirst, arrivedSecond] = yield* settle(tx, nowSecond, { ...request, from: paths[0], to: paths[1] });
  return { one: arrivedFirst, other: arrivedSecond, orphans: [...leftBySecond, ...leftByFirst] };
}

interface Way extends Exchange {
  readonly from: FilePath;
  readonly to: FilePath;
}

function* settle(
  tx: Transaction,
  file: FileRecord,
  { from, to, now, tombstoneVersionId }: Way,
): Program<readonly [readonly ObjectPlace[], FileRecord]> {
  const { inode, version } = file;
  const left = yield* leaveHomes(tx, file, { to, nowMs: now.ms, tombstoneVersionId });
  recordChange(tx, {
    kind: "renamed",
    path: to,
    from,
    inode,
    atMs: now.ms,
    ...(version === undefined ? {} : { versionId: version.id }),
  });
  const copies = version?.copies.map((copy) => withoutOldHome(copy, to)) ?? [];
  if (version === undefined || copies.every((copy, index) => copy === version.copies[index])) return [left, file];
  const moved = { ...version, copies };
  writeContent(tx, inode, moved);
  return [left, { ...file, version: moved }];
}

/** Histories of files and settings of buckets hang at names, and do not change places. What hangs in directories goes along with them. */
function* assertExchangeable(
  tx: Reader,
  [one, other]: readonly [FilePath, FilePath],
  areDirectories: boolean,
): Program<void> {
  for (const path of [one, other]) {
    const isTop = bucketOf(path) === undefined;
    const plain = isTop ? !(yield* hasBucketRow(tx, path)) : areDirectories || !keepsVersions(yield* rulesOf(tx, path));
    if (plain) continue;
    throw new GfsError(
      "InvalidArgument",
      "Buckets with settings, and files in buckets that keep versions, are not exchanged; rename one after the other.",
      { op: "namespace.exchange" },
    );
  }
  if (!areDirectories) return;
  yield* checkDirectoryRules(tx, { from: one, to: other });
  yield* checkDirectoryRules(tx, { from: other, to: one });
}
