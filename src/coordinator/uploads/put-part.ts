import { type BodyHash, createBodyHash } from "../../core/hashing/body-hash.ts";
import { BlockSummer, OF_PART, wholeSum } from "../../core/block-sums.ts";
import { createChecksum } from "../../core/checksums.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { Program } from "../../kv/index.ts";
import {
  dropPart,
  findPart,
  findUpload,
  type PartRecord,
  putPart as putPartRow,
  type UploadRecord,
} from "../../namespace/index.ts";
import type { PartInfo, Site } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";
import type { PutPart, UploadedPart } from "../service/service.ts";
import { atSite } from "../copies/landing.ts";
import { BodyTee } from "./body-tee.ts";
import { describePart, getUpload, noUpload, refuse, type UploadContext } from "./context.ts";

const MAX_PARTS = 10_000;
const MAX_PART_BYTES = 5 * 1024 ** 3;

/**
 * One pass over the body, to all sites of the upload at once. The last chunk waits until the sums have been compared and no other part of
 * this number is landing, so that a body that turns out wrong lands nowhere.
 */
export async function putPart(context: UploadContext, ctx: Ctx, request: PutPart): Promise<UploadedPart> {
  const { kit } = context;
  checkPart(kit, request);
  const upload = await getUpload(kit, request);
  const sites = sitesOf(kit, upload);
  const tee = new BodyTee(request.sizeBytes);
  let failure: GfsError | undefined;
  const sends = sites.map(async ({ site, objectKey, uploadId }): Promise<PartInfo> => {
    try {
      return await site.store.uploadPart(ctx, { key: objectKey, uploadId }, request.partNumber, tee.branch());
    } catch (error) {
      failure ??= atSite(site, error);
      tee.fail(GIVEN_UP);
      throw error;
    }
  });
  // Each is looked at below, when the body has come to its end.
  for (const send of sends) send.catch(() => undefined);
  try {
    const { last, ...sums } = await streamParts(request, upload, tee);
    return await context.gate.land(
      upload.uploadId,
      async () =>
        await context.partLocks.run(`${upload.uploadId}/${request.partNumber}`, async () => {
          // It may have been completed or aborted while the body came in.
          await getUpload(kit, request);
          try {
            if (last !== undefined) await tee.push(last);
            tee.end();
            const infos = await Promise.all(sends);
            const part: PartRecord = {
              partNumber: request.partNumber,
              sizeBytes: request.sizeBytes,
              modifiedMs: kit.clock.nowMs(),
              ...sums,
              sites: infos.map(({ etag }, index) => ({ site: (sites[index] as SiteTarget).site.name, etag })),
            };
            await keepPart(kit, upload, part);
            return describePart(part);
          } catch (error) {
            await forgetReplaced(kit, upload, request.partNumber);
            throw error;
          }
        }),
    );
  } catch (error) {
    // Sites that fail from here on do so because they were told to.
    const atFault = failure;
    tee.fail(GIVEN_UP);
    await Promise.allSettled(sends);
    if (atFault?.code === "NotFound") throw await lostUpload(kit, request, atFault);
    throw atFault ?? toGfsError(error, "coordinator.part");
  }
}

/** The upload ended while the part was on its way; or a site has dropped its own, which no part can mend. */
async function lostUpload(kit: Kit, place: PutPart, failure: GfsError): Promise<GfsError> {
  try {
    await getUpload(kit, place);
  } catch (error) {
    return toGfsError(error);
  }
  return new GfsError("Unavailable", `${failure.message} Begin the upload anew.`, {
    op: "coordinator.part",
    retry: "never",
    context: failure.context,
    cause: failure,
  });
}

/** What a site hears when the part is given up for a reason that is not its own. */
const GIVEN_UP = new GfsError("Canceled", "The part was given up.", { op: "coordinator.part" });

function checkPart(kit: Kit, { partNumber, sizeBytes }: PutPart): void {
  if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS) {
    throw refuse("InvalidArgument", `Parts are numbered 1 to ${MAX_PARTS}, not ${partNumber}.`);
  }
  const limit = Math.min(MAX_PART_BYTES, kit.settings.maxObjectBytes);
  if (sizeBytes > limit)
    throw new GfsError("TooLarge", `A part may have ${limit} bytes, not ${sizeBytes}.`, { op: "coordinator.part" });
  kit.assertCatalogSpace();
}

export interface SiteTarget {
  readonly site: Site;
  readonly objectKey: string;
  readonly uploadId: string;
}

/** A site that was removed meanwhile is left out. */
export function sitesOf(kit: Kit, upload: UploadRecord): SiteTarget[] {
  const targets: SiteTarget[] = [];
  for (const { site: name, objectKey, uploadId } of upload.sites) {
    const site = kit.sites.find(name);
    if (site !== undefined) targets.push({ site, objectKey, uploadId });
  }
  if (targets.length > 0) return targets;
  throw new GfsError(
    "Unavailable",
    `None of the sites that took the upload is registered any more (${upload.sites.map(({ site }) => site).join(", ")}); begin it anew.`,
    { op: "coordinator.upload", retry: "never" },
  );
}

interface Sums {
  readonly etag: string;
  readonly crc32c: string;
  readonly blocks?: NonNullable<PartRecord["blocks"]>;
  readonly checksum?: string;
}

/** Resolves with the sums and the last chunk, which is still to be sent. */
async function streamParts(
  request: PutPart,
  upload: UploadRecord,
  tee: BodyTee,
): Promise<Sums & { readonly last: Uint8Array | undefined }> {
  const promised = request.expected?.sha256Hex !== undefined;
  const hash = createBodyHash(["md5", ...(promised ? (["sha256"] as const) : [])], request.sizeBytes);
  try {
    return await streamThrough(request, upload, tee, hash);
  } catch (error) {
    hash.abandon();
    throw error;
  }
}

async function streamThrough(
  request: PutPart,
  upload: UploadRecord,
  tee: BodyTee,
  hash: BodyHash,
): Promise<Sums & { readonly last: Uint8Array | undefined }> {
  const { expected, sizeBytes } = request;
  const algorithm = upload.checksum?.algorithm;
  const summer = new BlockSummer(OF_PART);
  const asked = algorithm === undefined || algorithm === "CRC32C" ? undefined : createChecksum(algorithm);
  let seenBytes = 0;
  let last: Uint8Array | undefined;
  for await (const chunk of request.body) {
    if (chunk.byteLength === 0) continue;
    seenBytes += chunk.byteLength;
    if (seenBytes > sizeBytes) break;
    const room = hash.update(chunk);
    summer.update(chunk);
    asked?.update(chunk);
    if (room !== undefined) await room;
    if (last !== undefined) await tee.push(last);
    last = chunk;
  }
  if (seenBytes !== sizeBytes) {
    throw new GfsError(
      "IncompleteBody",
      `The part was announced with ${sizeBytes} bytes and has another length; send it again.`,
      {
        op: "coordinator.part",
      },
    );
  }
  const { md5, sha256 } = await hash.digest();
  const etag = md5 as string;
  compare("MD5", expected?.md5Hex?.toLowerCase(), etag);
  compare("SHA-256", expected?.sha256Hex?.toLowerCase(), sha256);
  const { blockBytes, sums, ...summed } = summer.finish();
  const crc = wholeSum({ ...summed, blockBytes, sums });
  const checksum = algorithm === "CRC32C" ? crc : asked?.digest();
  const given = request.checksum?.();
  if (given !== undefined && algorithm !== undefined) {
    if (given.algorithm !== algorithm) {
      throw refuse(
        "InvalidRequest",
        `The upload's checksums are ${algorithm}, and the part came with ${given.algorithm}.`,
      );
    }
    compare(algorithm, given.value, checksum);
  }
  const blocks = sums.length > 1 ? { blocks: { blockBytes, sums } } : {};
  return { etag, crc32c: crc, last, ...blocks, ...(checksum === undefined ? {} : { checksum }) };
}

function compare(what: string, promised: string | undefined, found: string | undefined): void {
  if (promised === undefined || promised === found) return;
  throw new GfsError(
    "ChecksumMismatch",
    `The part's ${what} is ${found} and the request promised ${promised}; send it again.`,
    {
      op: "coordinator.part",
      // S3 promises a SHA-256 along with the signature, and has a code of its own for it.
      ...(what === "SHA-256" ? { context: { s3: "XAmzContentSHA256Mismatch" } } : {}),
    },
  );
}

async function keepPart(kit: Kit, upload: UploadRecord, part: PartRecord): Promise<void> {
  await kit.kv.transact(function* (tx): Program<void> {
    if ((yield* findUpload(tx, upload.path, upload.uploadId)) === undefined) throw noUpload(upload);
    putPartRow(tx, upload.uploadId, part);
  });
}

/** Some site may have the new bytes by now and another the old ones: neither is the part any more. */
async function forgetReplaced(kit: Kit, { uploadId }: UploadRecord, partNumber: number): Promise<void> {
  await kit.kv.transact(function* (tx): Program<void> {
    if ((yield* findPart(tx, uploadId, partNumber)) !== undefined) dropPart(tx, uploadId, partNumber);
  });
}
