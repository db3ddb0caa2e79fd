import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { FilePath, Inode, VersionId } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import {
  type Copy,
  type FileRecord,
  findOwner,
  keepsVersions,
  LANDED_PREFIX,
  rulesOf,
  VERSIONS_PREFIX,
  whereBelongs,
} from "../../namespace/index.ts";
import type { Publishing } from "../../placement/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import type { Writer } from "./writer.ts";

export { LANDED_PREFIX, versionIdOf, VERSIONS_PREFIX } from "../../namespace/index.ts";

/**
 * Under which key a version's object goes at each site. Bytes never go over bytes: what is new goes to the file's own key, its path, where nothing lies
 * and nobody owns it, and otherwise to a key that nobody else has. From there it is published: a job brings it to the path once the catalog has it.
 */

export interface Target {
  readonly site: Site;
  readonly objectKey: string;
  /** Lies under the path already, and is nobody's: what the write replaces. `unknown`: nobody has looked. */
  readonly occupant?: ObjectInfo | "unknown";
}

export interface KeyChoice {
  readonly path: FilePath;
  readonly sites: readonly Site[];
  /** The file that has the path, if there is one. */
  readonly inode: Inode | undefined;
  readonly versionId: VersionId;
}

/** For bytes that go to the sites before the catalog decides: to the path only as the first, on the condition that nothing is there. */
export function* chooseLandings(tx: Reader, choice: KeyChoice): Program<Target[]> {
  const { path, versionId, inode } = choice;
  const own = yield* ownKeyFor(tx, choice);
  const targets: Target[] = [];
  for (const site of choice.sites) {
    const free =
      own === "landed" &&
      inode === undefined &&
      isObjectKey(path) &&
      (yield* findOwner(tx, site.name, path)) === undefined;
    targets.push({ site, objectKey: free ? path : ownKey(own, path, versionId) });
  }
  return targets;
}

export interface LookAhead {
  readonly path: FilePath;
  readonly versionId: VersionId;
  /** What goes there can be given another key when it lands. */
  readonly isMovable: (site: Site) => boolean;
}

/** Where something lies under the path already, what cannot be given another key at its end goes beside it from the beginning. */
export async function lookAhead(
  ctx: Ctx,
  targets: readonly Target[],
  { path, versionId, isMovable }: LookAhead,
): Promise<readonly Target[]> {
  const settled = [...targets];
  for (const [index, { site, objectKey }] of targets.entries()) {
    if (objectKey !== path || isMovable(site)) continue;
    try {
      const occupant = await site.store.head(ctx, path);
      settled[index] = { site, objectKey: landedKey(path, versionId), occupant };
    } catch (error) {
      // What is wrong with the site is said when it is written to.
      if (isGfsError(error, "Canceled")) throw error;
    }
  }
  return settled;
}

/** For copies that jobs bring after the catalog has decided. What lies under the path there is an older version of the same file, or nothing. */
export function* chooseKeys(tx: Reader, choice: KeyChoice): Program<Target[]> {
  const { path, versionId, inode } = choice;
  if (choice.sites.length === 0) return [];
  const own = yield* ownKeyFor(tx, choice);
  const targets: Target[] = [];
  for (const site of choice.sites) {
    const free = own === "landed" && (yield* isFree(tx, { site, path, inode }));
    targets.push({ site, objectKey: free ? path : ownKey(own, path, versionId) });
  }
  return targets;
}

export interface HomeChoice extends Omit<Target, "occupant"> {
  readonly path: FilePath;
  /** The file as it is. */
  readonly file: FileRecord | undefined;
  readonly occupant?: ObjectInfo;
  readonly publish: Publishing;
  readonly writer: Writer;
}

/** Where the bytes of a copy are to be published: nowhere where they are at home, or stay as a version, or the key is another file's still. */
export function* chooseHome(
  tx: Reader,
  { site, path, file, objectKey, occupant, publish, writer }: HomeChoice,
): Program<Pick<Copy, "home" | "replaces">> {
  if (publish === "never" || objectKey === path || keepsVersions(yield* rulesOf(tx, path))) return {};
  if (!(yield* isFree(tx, { site, path, inode: file?.inode }))) return {};
  // It came with a directory that is called otherwise by now, and is somebody's as soon as anybody looks.
  if (occupant !== undefined && (yield* whereBelongs(tx, site.name, occupant)) !== path) return {};
  const before = file?.version?.copies.find((copy) => copy.site === site.name);
  const replaces =
    before?.key === path
      ? (before.etag ?? before.replaces)
      : before?.home === path
        ? before.replaces
        : (yield* isReplaceable(tx, writer, occupant))
          ? occupant?.etag
          : undefined;
  return { home: path, ...(replaces === undefined ? {} : { replaces }) };
}

/** What another writer is about to make the file's is not. */
function* isReplaceable(tx: Reader, writer: Writer, occupant: ObjectInfo | undefined): Program<boolean> {
  const versionId = occupant?.metadata["globalfs-version"];
  if (occupant === undefined || versionId === undefined) return true;
  return !(yield* writer.isInFlight(tx, { key: occupant.key, versionId }));
}

interface Place {
  readonly site: Site;
  readonly path: FilePath;
  readonly inode: Inode | undefined;
}

function* isFree(tx: Reader, { site, path, inode }: Place): Program<boolean> {
  if (!isObjectKey(path)) return false;
  const owner = yield* findOwner(tx, site.name, path);
  return owner === undefined || owner.inode === inode;
}

type OwnKey = "landed" | "version";

/** In a bucket that keeps versions every version has a key of its own for good. */
function* ownKeyFor(tx: Reader, { path }: KeyChoice): Program<OwnKey> {
  return keepsVersions(yield* rulesOf(tx, path)) ? "version" : "landed";
}

const MAX_KEY_BYTES = 1_024;

/** A longer path is no key at any site; its objects keep keys of their own. */
function isObjectKey(path: FilePath): boolean {
  return path.length * 3 <= MAX_KEY_BYTES || Buffer.byteLength(path) <= MAX_KEY_BYTES;
}

/** Fits in 1,024 bytes and cannot be a path of the namespace, where `.globalfs` is reserved. */
function ownKey(own: OwnKey, path: FilePath, versionId: VersionId): string {
  return own === "version" ? versionKey(path, versionId) : landedKey(path, versionId);
}

export function landedKey(path: FilePath, versionId: VersionId): string {
  return `${LANDED_PREFIX}${versionId}-${shortName(path)}`;
}

/** Spread over directories by the end of the id, which is chance; its beginning is the time. */
export function versionKey(path: FilePath, versionId: VersionId): string {
  return `${VERSIONS_PREFIX}${versionId.slice(-2)}/${versionId}-${shortName(path)}`;
}

function shortName(path: FilePath): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return Buffer.byteLength(name) > 200 ? "object" : name;
}
