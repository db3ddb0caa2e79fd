/** Copies within the bucket, made by the endpoint. */
import { forEachBounded } from "../../../core/async/for-each.ts";
import { backgroundCtx, type Ctx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { uriEncodePath } from "../../../core/sigv4.ts";
import type { ETag, ObjectInfo, PartInfo, WriteAttributes, WriteConditions } from "../../store.ts";
import type { S3Client } from "./client.ts";
import { MAX_PARTS, MIB } from "./config.ts";
import { failureInside, toError } from "./failures.ts";
import { sha256Hex } from "../remote/payload-hash.ts";
import { abortUpload, attributeHeaders, beginUpload, completeUpload, type FullUpload, noteEnd } from "./multipart.ts";
import type { UploadBook } from "../../upload-book.ts";
import { bareEtag, getObject, headObject, quoteEtag } from "./reading.ts";
import { putWhole } from "./writing.ts";
import { childText, type XmlElement } from "../../../core/xml.ts";
import { parseAnswer } from "./xml.ts";

export interface CopyPlan {
  readonly fromFullKey: string;
  readonly key: string;
  readonly fullKey: string;
  readonly attributes: WriteAttributes;
  readonly conditions: WriteConditions;
  readonly sourceIfMatch?: ETag | undefined;
  readonly uploads: UploadBook;
}

/** The most that one copy request may move. */
const MAX_SINGLE_COPY_BYTES = 5 * 1024 * MIB;
const COPY_PART_BYTES = 512 * MIB;
const PARALLEL_COPIES = 8;

/** A copy with conditions goes through this process up to so many bytes: as many requests as without, where parts would take five, and rows of the catalog. */
export const MAX_CARRIED_BYTES = 1 * MIB;

/**
 * Plain copies take one request. Conditions on the target are known to hold only when a write or an upload in parts is
 * finished, so a copy with conditions is made as such: a small object is read and written, of a larger one the endpoint copies the parts.
 */
export async function copyObject(client: S3Client, ctx: Ctx, plan: CopyPlan): Promise<ObjectInfo> {
  const source = await headObject(client, ctx, plan.fromFullKey, plan.fromFullKey);
  if (plan.sourceIfMatch !== undefined && plan.sourceIfMatch !== source.etag) {
    throw new GfsError("PreconditionFailed", "The source is another object by now.", { op: "s3.copy" });
  }
  const conditional = plan.conditions.ifMatch !== undefined || plan.conditions.ifNoneMatch !== undefined;
  if (conditional && source.sizeBytes <= MAX_CARRIED_BYTES) return carry(client, ctx, plan, source);
  if (conditional || source.sizeBytes > MAX_SINGLE_COPY_BYTES) return copyInParts(client, ctx, plan, source);
  return copyAtOnce(client, ctx, plan, source);
}

async function carry(client: S3Client, ctx: Ctx, plan: CopyPlan, source: ObjectInfo): Promise<ObjectInfo> {
  const bytes = Buffer.allocUnsafe(source.sizeBytes);
  let filled = 0;
  if (source.sizeBytes > 0) {
    const keys = { key: plan.fromFullKey, fullKey: plan.fromFullKey };
    const { stream } = await getObject(client, ctx, keys, { ifMatch: source.etag });
    for await (const chunk of stream) {
      bytes.set(chunk, filled);
      filled += chunk.byteLength;
    }
  }
  const sha256 = await sha256Hex(bytes);
  if (source.sha256 !== undefined && source.sha256 !== sha256) {
    throw new GfsError("DataCorrupt", "The site gave other bytes than the object's SHA-256 says.", { op: "s3.copy" });
  }
  return putWhole(client, ctx, { ...plan, attributes: attributesOf(plan, source), bytes, sha256 });
}

async function copyAtOnce(client: S3Client, ctx: Ctx, plan: CopyPlan, source: ObjectInfo): Promise<ObjectInfo> {
  const op = "s3.copy";
  const replaces =
    plan.attributes.contentType !== undefined ||
    plan.attributes.metadata !== undefined ||
    plan.fromFullKey === plan.fullKey;
  const attributes = attributesOf(plan, source);
  const { text } = await client.sendForText(ctx, {
    op,
    method: "PUT",
    key: plan.fullKey,
    headers: {
      ...sourceHeaders(client, plan, source),
      ...(replaces ? { "x-amz-metadata-directive": "REPLACE", ...attributeHeaders(attributes, source.sha256) } : {}),
    },
    slow: true,
  });
  copied(op, text);
  return headObject(client, ctx, plan.key, plan.fullKey);
}

async function copyInParts(client: S3Client, ctx: Ctx, plan: CopyPlan, source: ObjectInfo): Promise<ObjectInfo> {
  const attributes = {
    ...attributesOf(plan, source),
    ...(source.sha256 === undefined ? {} : { sha256: source.sha256 }),
  };
  const keys = { key: plan.key, fullKey: plan.fullKey };
  const upload = await beginUpload(client, ctx, { keys, attributes }, plan.uploads);
  try {
    const partBytes = Math.max(COPY_PART_BYTES, Math.ceil(source.sizeBytes / MAX_PARTS / MIB) * MIB);
    const starts = Array.from({ length: Math.ceil(source.sizeBytes / partBytes) }, (_, index) => index * partBytes);
    const parts: PartInfo[] = [];
    await forEachBounded(starts, PARALLEL_COPIES, async (start, index) => {
      const end = Math.min(start + partBytes, source.sizeBytes);
      parts[index] = await copyPart(client, ctx, { plan, source, upload, partNumber: index + 1, start, end });
    });
    const info = await completeUpload(client, ctx, upload, { parts, conditions: plan.conditions });
    await noteEnd(plan.uploads, upload);
    return info;
  } catch (error) {
    await abandonUpload(client, ctx, upload, plan.uploads);
    throw error;
  }
}

interface PartCopy {
  readonly plan: CopyPlan;
  readonly source: ObjectInfo;
  readonly upload: FullUpload;
  readonly partNumber: number;
  readonly start: number;
  readonly end: number;
}

async function copyPart(client: S3Client, ctx: Ctx, part: PartCopy): Promise<PartInfo> {
  const op = "s3.copyPart";
  const { text } = await client.sendForText(ctx, {
    op,
    method: "PUT",
    key: part.upload.fullKey,
    query: { partNumber: String(part.partNumber), uploadId: part.upload.uploadId },
    headers: {
      ...sourceHeaders(client, part.plan, part.source),
      "x-amz-copy-source-range": `bytes=${part.start}-${part.end - 1}`,
    },
    slow: true,
  });
  const root = copied(op, text);
  return {
    partNumber: part.partNumber,
    sizeBytes: part.end - part.start,
    etag: bareEtag(childText(root, "ETag") ?? ""),
  };
}

function attributesOf(plan: CopyPlan, source: ObjectInfo): WriteAttributes {
  const contentType = plan.attributes.contentType ?? source.contentType;
  return {
    ...(contentType === undefined ? {} : { contentType }),
    metadata: plan.attributes.metadata ?? source.metadata,
  };
}

/** The source must still be the one that was looked at: attributes and size were taken from it. */
function sourceHeaders(client: S3Client, plan: CopyPlan, source: ObjectInfo): Record<string, string> {
  return {
    "x-amz-copy-source": `/${client.bucket}/${uriEncodePath(plan.fromFullKey)}`,
    "x-amz-copy-source-if-match": quoteEtag(source.etag),
  };
}

function copied(op: string, text: string): XmlElement {
  const root = parseAnswer(text);
  const failure = failureInside(op, root);
  if (failure !== undefined) throw toError(failure);
  return root;
}

/** What can not be removed now, the sweep removes later; the error that led here matters more. */
async function abandonUpload(client: S3Client, ctx: Ctx, upload: FullUpload, uploads: UploadBook): Promise<void> {
  try {
    await abortUpload(client, backgroundCtx({ requestId: ctx.requestId, log: ctx.log }), upload);
    await noteEnd(uploads, upload);
  } catch (error) {
    ctx.log.warn("s3.abandoned-upload", { key: upload.key, error: String(error) });
  }
}
