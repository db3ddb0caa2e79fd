import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { FilePath, Inode } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { createProof } from "../../mover/index.ts";
import { type Copy, type FileVersion, findTombstone, isBuried } from "../../namespace/index.ts";
import type { ObjectInfo, Site, Span } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";
import { isReadable } from "../copies/wanted.ts";

/** A site shows something else under a copy's key than what was written there: what is it? `docs/semantics.md` says it to users. */

export interface Disagreement {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly copy: Copy;
  readonly site: Site;
  /** Of an older version, which no name leads to. */
  readonly holder?: Inode;
}

/**
 * same: the version's own bytes, by another name. news: somebody wrote something newer. damage: the version stands, and the copy is to be mended. The
 * reason follows "the site holds".
 */
export type Judgement = { readonly kind: "same" } | { readonly kind: "news" | "damage"; readonly reason: string };

/** Larger objects are not read in the middle of somebody's request. */
export const MAX_PROVEN_BYTES = 64 * 1024 ** 2;
/** So much of each end of a short object is held against the version's bytes. */
const COMPARED_BYTES = 1024 ** 2;

export async function judge(kit: Kit, ctx: Ctx, found: Disagreement, info: ObjectInfo): Promise<Judgement> {
  const { path, version, copy, site } = found;
  if (await isSame(ctx, found, info)) return { kind: "same" };
  const writtenId = info.metadata["globalfs-version"];
  // Only a write to this file goes to a key that it owns, also under the key that the file had before a rename.
  const isOver = await kit.kv.view(function* (tx): Program<boolean> {
    return isBuried(yield* findTombstone(tx, copy.key as FilePath), info);
  });
  if (writtenId !== undefined && found.holder === undefined && writtenId > version.id && !isOver)
    return { kind: "news", reason: "a newer version that GlobalFS wrote" };
  if (writtenId === version.id) return damage("other bytes that say they are this version");
  if (writtenId !== undefined) return damage("an older version that GlobalFS wrote");
  if (found.holder !== undefined || copy.key !== path) return damage("other bytes under a key that is GlobalFS's own");
  const better = version.copies.some(
    (each) => each.state === "present" && site.role !== "primary" && kit.sites.find(each.site)?.role === "primary",
  );
  if (better) return damage("other bytes, and a primary has the version");
  if (info.modifiedMs < version.createdMs) return damage("other bytes that are older than the version");
  if (info.sizeBytes < version.sizeBytes && (await isCutOff(kit, ctx, found, info)))
    return damage(`only the first ${info.sizeBytes} of ${version.sizeBytes} bytes`);
  return { kind: "news", reason: "a newer object of another tool" };
}

function damage(reason: string): Judgement {
  return { kind: "damage", reason };
}

/** A file whose attributes or times were lost on the way through a backup is still the version. */
export async function isSame(
  ctx: Ctx,
  { version, copy, site }: Pick<Disagreement, "version" | "copy" | "site">,
  info: ObjectInfo,
): Promise<boolean> {
  if (info.sizeBytes !== version.sizeBytes || info.sizeBytes > MAX_PROVEN_BYTES) return false;
  const proof = createProof(version);
  if (proof === undefined) return false;
  try {
    const body = await site.store.get(ctx, copy.key, { ifMatch: info.etag, checkedByCaller: true });
    for await (const chunk of body.stream) proof.update(chunk);
    return proof.holds();
  } catch (error) {
    if (isGfsError(error, "DataCorrupt")) return false;
    throw error;
  }
}

/**
 * Whether the object is the version with its end missing, as another copy has it. While there is such a copy and nobody can ask it, nothing is decided:
 * the good copy would be replaced by what may be damage.
 */
async function isCutOff(kit: Kit, ctx: Ctx, found: Disagreement, info: ObjectInfo): Promise<boolean> {
  const { version, copy, site } = found;
  let silent: unknown;
  for (const other of version.copies) {
    if (other.site === site.name || !isReadable(other)) continue;
    const otherSite = kit.sites.find(other.site);
    if (otherSite === undefined) continue;
    try {
      const theirs = await otherSite.store.head(ctx, other.key);
      if (theirs.etag !== other.etag || theirs.sizeBytes !== version.sizeBytes) continue;
      for (const range of endsOf(info.sizeBytes)) {
        const left = await bytesAt(ctx, { site, key: copy.key, etag: info.etag }, range);
        const right = await bytesAt(ctx, { site: otherSite, key: other.key, etag: theirs.etag }, range);
        if (!left.equals(right)) return false;
      }
      return true;
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      if (!isGfsError(error, "NotFound", "PreconditionFailed", "DataCorrupt")) silent = error;
    }
  }
  if (silent === undefined) return false;
  throw new GfsError(
    "Unavailable",
    `Site ${site.name} holds a shorter object than was written, and no site that could tell whether it is damaged answers; try again later.`,
    { op: "coordinator.reconcile", cause: silent },
  );
}

function endsOf(sizeBytes: number): Span[] {
  if (sizeBytes === 0) return [];
  const first = { start: 0, end: Math.min(sizeBytes, COMPARED_BYTES) };
  if (sizeBytes <= COMPARED_BYTES) return [first];
  return [first, { start: Math.max(first.end, sizeBytes - COMPARED_BYTES), end: sizeBytes }];
}

interface At {
  readonly site: Site;
  readonly key: string;
  readonly etag: string;
}

async function bytesAt(ctx: Ctx, { site, key, etag }: At, range: Span): Promise<Buffer> {
  const body = await site.store.get(ctx, key, { range, ifMatch: etag });
  const chunks: Buffer[] = [];
  for await (const chunk of body.stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
