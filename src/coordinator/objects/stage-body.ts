import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath, VersionId } from "../../core/ids.ts";
import {
  type ContentChecksum,
  etagOf,
  type FileVersion,
  keptBlocks,
  type VersionDetails,
} from "../../namespace/index.ts";
import { abortAll, atSite, type SiteWrite, stageAll } from "../copies/landing.ts";
import type { Target } from "../copies/object-keys.ts";
import type { Kit } from "../kit.ts";
import type { PutRequest } from "../service/service.ts";
import { type BodyDigest, createBodyDigest } from "./body-digest.ts";
import { type BelongingFile, lateMetadata, storedMetadata } from "./object-meta.ts";

/** What is to become content: the bytes, and what is kept beside them. */
export type Body = Omit<PutRequest, "key" | "conditions">;

export interface Staging {
  readonly body: Body;
  readonly targets: readonly Target[];
  readonly versionId: VersionId;
  /** For what the sites keep with it. */
  readonly path: FilePath;
  readonly file?: BelongingFile | undefined;
}

export interface Staged {
  readonly writes: readonly SiteWrite[];
  readonly version: Omit<FileVersion, "copies">;
}

/** Streams the body to all targets at once, as far as it goes before it is decided what becomes of it. When this rejects nothing is left. */
export async function stageBody(kit: Kit, ctx: Ctx, staging: Staging): Promise<Staged> {
  const { body: request, targets, versionId, path, file } = staging;
  const createdMs = kit.clock.nowMs();
  const writes = await stageAll(ctx, targets, versionId, {
    metadata: storedMetadata(request.metadata ?? {}, {
      path,
      version: versionId,
      createdMs,
      file,
      details: detailsOf(request, undefined),
    }),
    ...(request.contentType === undefined ? {} : { contentType: request.contentType }),
    ...(request.sizeBytes === undefined ? {} : { sizeBytes: request.sizeBytes }),
  });
  const digest = createBodyDigest(request);
  try {
    await streamBody(kit, request, writes, digest);
    const { sha256, md5, crc32c, blocks } = await digest.finish();
    const checksum = request.checksum?.() ?? crc32c;
    const final = { ...(sha256 === undefined ? {} : { sha256 }), metadata: lateMetadata({ md5, checksum }) };
    await eachSite(writes, async ({ staged }) => await staged.seal(final));
    const version: Omit<FileVersion, "copies"> = {
      id: versionId,
      sizeBytes: digest.sizeBytes,
      etag: md5 ?? etagOf(sha256 as string),
      metadata: request.metadata ?? {},
      createdMs,
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(request.contentType === undefined ? {} : { contentType: request.contentType }),
      details: detailsOf(request, checksum),
      ...keptBlocks(blocks, checksum),
    };
    return { writes, version };
  } catch (error) {
    digest.abandon();
    await abortAll(writes);
    throw toGfsError(error, "coordinator.put");
  }
}

export function tooLarge(kit: Kit): GfsError {
  return new GfsError(
    "TooLarge",
    `An object may have ${kit.settings.maxObjectBytes} bytes; limits.max_object_bytes sets it.`,
  );
}

function detailsOf({ contentHeaders, owner, labels }: Body, checksum: ContentChecksum | undefined): VersionDetails {
  return {
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(owner === undefined ? {} : { owner }),
    ...(labels === undefined ? {} : { labels }),
  };
}

async function eachSite(writes: readonly SiteWrite[], work: (write: SiteWrite) => Promise<void>): Promise<void> {
  const only = writes[0];
  if (writes.length === 1 && only !== undefined) {
    await work(only).catch((error: unknown) => {
      throw atSite(only.site, error);
    });
    return;
  }
  const outcomes = await Promise.allSettled(writes.map(async (write) => await work(write)));
  outcomes.forEach((outcome, index) => {
    if (outcome.status === "rejected") throw atSite((writes[index] as SiteWrite).site, outcome.reason);
  });
}

async function streamBody(kit: Kit, request: Body, writes: readonly SiteWrite[], digest: BodyDigest): Promise<void> {
  const { maxObjectBytes } = kit.settings;
  for await (const chunk of request.body) {
    const room = digest.update(chunk);
    if (digest.sizeBytes > maxObjectBytes) throw tooLarge(kit);
    if (request.sizeBytes !== undefined && digest.sizeBytes > request.sizeBytes) await digest.finish();
    if (room !== undefined) await room;
    await eachSite(writes, async ({ staged }) => await staged.write(chunk));
  }
}
