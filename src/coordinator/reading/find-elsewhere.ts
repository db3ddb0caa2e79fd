import type { Ctx } from "../../core/context.ts";
import { isGfsError, toGfsError } from "../../core/errors.ts";
import type { Program } from "../../kv/index.ts";
import { isProvable, publishArrived } from "../../mover/index.ts";
import { type Copy, type FileRecord, findByInode, findFile, setCopy } from "../../namespace/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import { isSame, MAX_PROVEN_BYTES } from "../foreign/judge.ts";
import { suspectCopy } from "../copies/copy-check.ts";
import type { Kit } from "../kit.ts";
import { assertWrites } from "../foreign/reconcile.ts";
import type { Candidate, Wanted } from "../copies/wanted.ts";

/** No copy that counts shows its bytes. Before they are called lost every site is asked, whatever the catalog says of it. */
export interface Elsewhere {
  readonly found?: Candidate;
  /** Sites that gave no answer, and may have them. */
  readonly silent: readonly string[];
}

export async function findElsewhere(kit: Kit, ctx: Ctx, wanted: Wanted): Promise<Elsewhere> {
  assertWrites(kit);
  const { version, path } = wanted;
  const silent: string[] = [];
  for (const site of kit.sites.list()) {
    const known = version.copies.find((copy) => copy.site === site.name);
    const key = known?.key ?? path;
    try {
      const info = await site.store.head(ctx, key);
      if (!(await isVersion(kit, ctx, wanted, { site, known, info }))) continue;
      const copy: Copy = { site: site.name, key, state: "present", etag: info.etag, changedMs: kit.clock.nowMs() };
      if (!(await record(kit, wanted, { copy, over: known }))) continue;
      kit.log.warn("copy_found_again", { path, site: site.name, key, before: known?.state });
      return { found: { copy, site }, silent };
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      if (isGfsError(error, "NotFound", "PreconditionFailed")) continue;
      silent.push(site.name);
      kit.log.debug("site_not_asked", { path, site: site.name, error: toGfsError(error).message });
    }
  }
  return { silent };
}

interface AtSite {
  readonly site: Site;
  readonly known: Copy | undefined;
  readonly info: ObjectInfo;
}

/** Small ones are read; of a large one its own word is taken, since whoever reads it holds it against its checksum. */
async function isVersion(
  kit: Kit,
  ctx: Ctx,
  { version, path }: Wanted,
  { site, known, info }: AtSite,
): Promise<boolean> {
  if (info.sizeBytes !== version.sizeBytes) return false;
  if (isProvable(version) && info.sizeBytes <= MAX_PROVEN_BYTES)
    return await isSame(ctx, { version, site, copy: known ?? placeOf(site, path) }, info);
  if (info.metadata["globalfs-version"] !== version.id) return false;
  if (known === undefined || known.state === "pending") return true;
  // It was found wrong, and its site may have been mended since: a job reads all of it.
  const { id: versionId, sizeBytes } = version;
  await suspectCopy(kit, { path, versionId, sizeBytes, site: site.name, key: known.key });
  return false;
}

function placeOf(site: Site, key: string): Copy {
  return { site: site.name, key, state: "pending", changedMs: 0 };
}

interface FoundCopy {
  readonly copy: Copy;
  /** What the catalog said of it. */
  readonly over: Copy | undefined;
}

/** False when the version has moved on, or its bytes there have, or the object belongs to another file. */
async function record(kit: Kit, { path, version, holder }: Wanted, { copy, over }: FoundCopy): Promise<boolean> {
  try {
    return await kit.kv.transact(function* (tx): Program<boolean> {
      const file: FileRecord | undefined =
        holder === undefined ? yield* findFile(tx, path) : yield* findByInode(tx, holder);
      if (file?.version?.id !== version.id) return false;
      const { inode } = file;
      if (!(yield* setCopy(tx, { inode, versionId: version.id, copy, over, nowMs: copy.changedMs }))) return false;
      yield* publishArrived(tx, kit, { inode, site: copy.site });
      return true;
    });
  } catch (error) {
    if (isGfsError(error, "Conflict")) return false;
    throw error;
  }
}
