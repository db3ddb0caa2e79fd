import { createHash } from "node:crypto";
import { type BlockSums, BlockSummer, joinBlocks } from "../../core/block-sums.ts";
import { type Checksum, createChecksum } from "../../core/checksums.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath, VersionId } from "../../core/ids.ts";
import {
  type Copy,
  type FileRecord,
  type FileVersion,
  findFile,
  keptBlocks,
  sumOfWhole,
  type VersionDetails,
  type VersionLabels,
} from "../../namespace/index.ts";
import { createQuickProof } from "../../mover/index.ts";
import { headIfThere, type ObjectInfo, type Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { checkWriteConditions } from "../objects/conditions.ts";
import { suspectCopy } from "../copies/copy-check.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import { getVersion, type Located, locate } from "../foreign/lookup.ts";
import { abortAll, atSite, type SiteWrite } from "../copies/landing.ts";
import { chooseLandings, lookAhead, type Target } from "../copies/object-keys.ts";
import { checkUserMetadata, describeWrite, lateMetadata } from "../objects/object-meta.ts";
import type { Kit } from "../kit.ts";
import type { CopyCheck, CopyObject, ObjectMeta, ObjectRead, PutResult } from "../service/service.ts";
import { readSource } from "./copy-part.ts";
import { assertLockable } from "./open.ts";
import { commitWrite } from "../objects/commit-write.ts";
import { putObject } from "../objects/write.ts";

type Copied = PutResult & { readonly source: ObjectMeta };

const MAX_ATTEMPTS = 3;

/**
 * A site that holds the source copies it by itself; the others get its bytes through here, in one pass for all of them. They land where nothing lies and
 * are committed as a put is.
 */
export async function copyObject(kit: Kit, ctx: Ctx, request: CopyObject): Promise<Copied> {
  const from = locate(request.from.key);
  const to = locate(request.key);
  kit.assertCatalogSpace();
  if (request.replace !== undefined) checkUserMetadata(request.replace.metadata);
  for (let attempt = 1; ; attempt++) {
    const source = await readSource(kit, ctx, request.from);
    try {
      if (from.directory || to.directory) return await copyMarker(kit, ctx, request, source);
      return await copyFile(kit, ctx, { request, source, from, to, streamed: attempt > 1 });
    } catch (error) {
      // The source changed while it was copied, or its site cannot copy it after all: what is read is always right.
      if (!(error instanceof SourceLost) || attempt === MAX_ATTEMPTS) throw error;
      ctx.log.debug("copy_repeated", { from: from.path, to: to.path, error: error.message });
    }
  }
}

/** It says nothing against the copy as such: done in another way, it may work. */
class SourceLost extends GfsError {}

async function copyMarker(kit: Kit, ctx: Ctx, request: CopyObject, source: ObjectRead): Promise<Copied> {
  if (source.meta.sizeBytes > 0) {
    throw new GfsError(
      "InvalidKey",
      `${request.key} names a directory, which holds no bytes; leave out the trailing slash.`,
    );
  }
  const { replace, owner, conditions } = request;
  const result = await putObject(kit, ctx, {
    key: request.key,
    body: nothing(),
    sizeBytes: 0,
    md5Etag: true,
    metadata: replace?.metadata ?? source.meta.metadata,
    ...(replace?.contentType === undefined ? {} : { contentType: replace.contentType }),
    ...(owner === undefined ? {} : { owner }),
    ...(conditions === undefined ? {} : { conditions }),
  });
  return { ...result, source: source.meta };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

interface FileCopy {
  readonly request: CopyObject;
  readonly source: ObjectRead;
  readonly from: Located;
  readonly to: Located;
  /** Sites are not asked to copy. */
  readonly streamed: boolean;
}

async function copyFile(kit: Kit, ctx: Ctx, copy: FileCopy): Promise<Copied> {
  const { request, source, from, to } = copy;
  const { path } = to;
  const plan = kit.router.planWrite(path);
  if (plan.required.length === 0) {
    throw new GfsError(
      "Unavailable",
      `No site takes writes for ${path}; add a primary site or change the rule ${plan.rule ?? "order"}.`,
    );
  }
  const { sizeBytes } = source.meta;
  if (sizeBytes > kit.settings.maxObjectBytes) {
    throw new GfsError(
      "TooLarge",
      `An object may have ${kit.settings.maxObjectBytes} bytes; limits.max_object_bytes sets it.`,
    );
  }
  if (request.lock !== undefined) await assertLockable(kit, path);
  const before = await readCatalog(kit.kv, (tx) => findFile(tx, path));
  const known = before ?? (request.conditions === undefined ? undefined : await adoptFromSites(kit, ctx, path));
  checkWriteConditions(request.conditions, currentOf(known));

  const kept = keptChecksum(request, source.meta);
  const summed =
    request.checksumAlgorithm === undefined || kept !== undefined
      ? undefined
      : createChecksum(request.checksumAlgorithm);
  const draft = draftOf(kit, request, source, kept);
  const chosen = await readCatalog(kit.kv, (tx) =>
    chooseLandings(tx, { path, sites: plan.required, inode: known?.inode, versionId: draft.id }),
  );
  const targets = await lookAhead(ctx, chosen, {
    path,
    versionId: draft.id,
    isMovable: ({ store }) => sizeBytes <= store.capabilities.movableBytes,
  });
  const held = copy.streamed || summed !== undefined ? [] : await copiesOf(kit, ctx, copy);
  const { writes, streams } = await openWrites(kit, ctx, {
    targets,
    held,
    draft,
    path,
    source: { path: from.path, versionId: source.meta.versionId as VersionId, sizeBytes },
  });
  try {
    const sums = streams.length === 0 ? {} : await stream(source, streams, draft, summed);
    const version = { ...draft, ...sums };
    const { conditions } = request;
    const result = await commitWrite(kit, ctx, { conditions, path, writes, version, ...plan, copied: true });
    return { ...result, source: source.meta };
  } catch (error) {
    await abortAll(writes);
    throw lostSource(error) ?? toGfsError(error, "coordinator.copy");
  }
}

function currentOf(file: FileRecord | undefined): { etag: string; modifiedMs: number } | undefined {
  return file?.version === undefined ? undefined : { etag: file.version.etag, modifiedMs: file.version.createdMs };
}

/** That of all bytes is still true of the copy; one of parts is not. */
function keptChecksum({ checksumAlgorithm }: CopyObject, { details }: ObjectMeta): VersionDetails["checksum"] {
  const checksum = details?.checksum;
  if (checksum?.kind !== "full") return undefined;
  return checksumAlgorithm === undefined || checksumAlgorithm === checksum.algorithm ? checksum : undefined;
}

type Draft = Omit<FileVersion, "copies">;

function draftOf(kit: Kit, request: CopyObject, read: ObjectRead, checksum: VersionDetails["checksum"]): Draft {
  const { replace, owner } = request;
  const { meta: source, blocks } = read;
  const contentType = replace === undefined ? source.contentType : replace.contentType;
  const contentHeaders = replace === undefined ? source.details?.contentHeaders : replace.contentHeaders;
  const wholeChecksum = source.details?.wholeChecksum;
  const tags = request.tags ?? source.details?.labels?.tags;
  const labels: VersionLabels = {
    ...(tags === undefined ? {} : { tags }),
    ...(request.accessList === undefined ? {} : { accessList: request.accessList }),
    ...(request.lock === undefined ? {} : { lock: request.lock }),
  };
  const details: VersionDetails = {
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(wholeChecksum === undefined ? {} : { wholeChecksum }),
    ...(owner === undefined ? {} : { owner }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
  return {
    id: kit.nextVersionId(),
    sizeBytes: source.sizeBytes,
    etag: source.etag,
    metadata: replace?.metadata ?? source.metadata,
    createdMs: kit.clock.nowMs(),
    ...(source.sha256 === undefined ? {} : { sha256: source.sha256 }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(Object.keys(details).length === 0 ? {} : { details }),
    ...(blocks === undefined ? {} : keptBlocks(blocks, sumOfWhole({ details }))),
  };
}

/** Where the very version lies that is to be copied. */
async function copiesOf(kit: Kit, ctx: Ctx, { request, source, from }: FileCopy): Promise<readonly Copy[]> {
  const { versionId } = request.from;
  const file =
    versionId === undefined
      ? await readCatalog(kit.kv, (tx) => findFile(tx, from.path))
      : await getVersion(kit, ctx, from, versionId);
  const version = file?.version?.id === source.meta.versionId ? file.version : undefined;
  return version?.copies.filter(({ state, etag }) => state === "present" && etag !== undefined) ?? [];
}

interface Opening {
  readonly targets: readonly Target[];
  readonly held: readonly Copy[];
  readonly draft: Draft;
  readonly path: FilePath;
  readonly source: CopySource;
}

/** Which version is copied. */
type CopySource = Pick<CopyCheck, "path" | "versionId" | "sizeBytes">;

async function openWrites(
  kit: Kit,
  ctx: Ctx,
  { targets, held, draft, path, source }: Opening,
): Promise<{ readonly writes: SiteWrite[]; readonly streams: SiteWrite[] }> {
  const attributes = describeWrite(path, { ...draft, copies: [] });
  const writes: SiteWrite[] = [];
  const streams: SiteWrite[] = [];
  try {
    for (const target of targets) {
      const { site, objectKey } = target;
      const copy = site.store.capabilities.serverSideCopy ? held.find((each) => each.site === site.name) : undefined;
      const write: SiteWrite = {
        ...target,
        versionId: draft.id,
        staged:
          copy === undefined
            ? await site.store
                .stage(ctx, objectKey, { ...attributes, sizeBytes: draft.sizeBytes })
                .catch((error: unknown) => {
                  throw atSite(site, error);
                })
            : copyAtSite(kit, target, { copy, attributes, draft, source }),
      };
      writes.push(write);
      if (copy === undefined) streams.push(write);
    }
    return { writes, streams };
  } catch (error) {
    await abortAll(writes);
    throw error;
  }
}

interface CopyWithin {
  readonly copy: Copy;
  readonly attributes: ReturnType<typeof describeWrite>;
  readonly draft: Draft;
  readonly source: CopySource;
}

/** Shows at once when it is committed, as a staged write does; there is nothing to prepare and nothing to abort. */
function copyAtSite(kit: Kit, target: Target, { copy, attributes, draft, source }: CopyWithin): SiteWrite["staged"] {
  const { site, objectKey } = target;
  return {
    write: () => Promise.reject(new GfsError("Internal", "A site copies by itself what it holds.")),
    seal: () => Promise.resolve(),
    abort: () => Promise.resolve(),
    async commit(ctx, { as = objectKey, ...conditions }) {
      try {
        const info = await site.store.copy(ctx, copy.key, as, {
          ...attributes,
          ...conditions,
          ...(copy.etag === undefined ? {} : { sourceIfMatch: copy.etag }),
        });
        if (site.store.capabilities.copiesUnchecked === true) await assertRight(ctx, site, { info, draft });
        return info;
      } catch (error) {
        if (isGfsError(error, "DataCorrupt")) await suspectCopy(kit, { ...source, site: site.name, key: copy.key });
        const conditional = conditions.ifNoneMatch !== undefined && isGfsError(error, "PreconditionFailed");
        // Which of the two did not hold: that nothing lies there yet, or that the source is the one that was looked up.
        if (conditional && (await headIfThere(ctx, site.store, objectKey)) !== undefined) throw error;
        if (!isGfsError(error, "NotFound", "PreconditionFailed", "Conflict", "Unsupported", "TooLarge", "DataCorrupt"))
          throw error;
        throw new GfsError("Conflict", `It could not copy the source by itself: ${error.message}`, {
          op: "coordinator.copy",
          context: { ...error.context, sourceLost: true },
          cause: error,
        });
      }
    },
  };
}

/** The site took the bytes as they lay there: a rotten source must not become a rotten copy that nothing can mend. */
async function assertRight(
  ctx: Ctx,
  site: Site,
  { info, draft }: { readonly info: ObjectInfo; readonly draft: Draft },
): Promise<void> {
  const proof = createQuickProof({ ...draft, copies: [] });
  if (proof === undefined) return;
  const body = await site.store.get(ctx, info.key, { ifMatch: info.etag, checkedByCaller: true });
  for await (const chunk of body.stream) proof.update(chunk);
  if (proof.holds()) return;
  throw new GfsError("DataCorrupt", `Site ${site.name} copied other bytes than the source's checksum says.`, {
    op: "coordinator.copy",
  });
}

function lostSource(error: unknown): SourceLost | undefined {
  if (!isGfsError(error) || (error.context["sourceLost"] !== true && error.op !== "coordinator.read")) return undefined;
  if (error.context["sourceLost"] !== true && error.code !== "Conflict") return undefined;
  return new SourceLost("Conflict", error.message, { op: "coordinator.copy", context: error.context, cause: error });
}

interface Sums {
  readonly sha256: string;
  readonly details?: VersionDetails;
  readonly blocks?: BlockSums;
}

/** The source is held against its own sums on the way, where it has any. */
async function stream(
  source: ObjectRead,
  writes: readonly SiteWrite[],
  draft: Draft,
  summed: Checksum | undefined,
): Promise<Sums> {
  const known = draft.sha256 === undefined ? (draft.details?.checksum ?? draft.details?.wholeChecksum) : undefined;
  const proof = known === undefined ? undefined : createChecksum(known.algorithm);
  const hash = createHash("sha256");
  const blocks = new BlockSummer();
  const opened = await source.open();
  try {
    for await (const chunk of opened.stream) {
      hash.update(chunk);
      blocks.update(chunk);
      proof?.update(chunk);
      summed?.update(chunk);
      await atEach(writes, async ({ staged }) => await staged.write(chunk));
    }
  } finally {
    opened.cancel();
  }
  const sha256 = hash.digest("hex");
  if (
    (draft.sha256 !== undefined && draft.sha256 !== sha256) ||
    (known !== undefined && proof?.digest() !== known.value)
  ) {
    throw new GfsError("DataCorrupt", "The source's bytes are not those of its checksum; nothing was copied.", {
      op: "coordinator.copy",
    });
  }
  const checksum =
    summed === undefined ? undefined : { algorithm: summed.algorithm, kind: "full" as const, value: summed.digest() };
  const metadata = lateMetadata({ checksum });
  await atEach(
    writes,
    async ({ staged }) => await staged.seal({ sha256, ...(metadata === undefined ? {} : { metadata }) }),
  );
  const details = checksum === undefined ? draft.details : { ...draft.details, checksum };
  return {
    sha256,
    ...(details === undefined ? {} : { details }),
    ...keptBlocks(joinBlocks([blocks.finish()]), sumOfWhole({ details })),
  };
}

async function atEach(writes: readonly SiteWrite[], work: (write: SiteWrite) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(writes.map(async (write) => await work(write)));
  outcomes.forEach((outcome, index) => {
    if (outcome.status === "rejected") throw atSite((writes[index] as SiteWrite).site, outcome.reason);
  });
}
