/** Uploads in parts, as S3 has them. */
import { createHash, type Hash } from "node:crypto";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { MultipartUpload, ObjectInfo, PartBody, PartInfo, WriteAttributes, WriteConditions } from "../../store.ts";
import type { UploadBook } from "../../upload-book.ts";
import { discardBody, type S3Client } from "./client.ts";
import { MAX_PARTS } from "./config.ts";
import { failureInside, toError } from "./failures.ts";
import { metadataHeaders } from "./metadata.ts";
import { bareEtag, conditionHeaders, header, headObject, quoteEtag } from "./reading.ts";
import { exactly } from "../remote/part-body.ts";
import { sha256Hex } from "../remote/payload-hash.ts";
import { childrenNamed, childText, escapeXml } from "../../../core/xml.ts";
import { parseAnswer } from "./xml.ts";

export interface FullUpload extends MultipartUpload {
  /** With the site's prefix. */
  readonly fullKey: string;
}

const LISTED_PARTS = 1_000;
const MD5 = /^[0-9a-f]{32}$/;

async function createUpload(
  client: S3Client,
  ctx: Ctx,
  keys: { readonly key: string; readonly fullKey: string },
  attributes: WriteAttributes & { readonly sha256?: string },
): Promise<FullUpload> {
  const headers = attributeHeaders(attributes, attributes.sha256);
  const { text } = await client.sendForText(ctx, {
    op: "s3.createMultipart",
    method: "POST",
    key: keys.fullKey,
    query: { uploads: "" },
    headers,
  });
  const uploadId = childText(parseAnswer(text), "UploadId");
  if (uploadId === undefined || uploadId === "") {
    throw new GfsError("Unavailable", "The S3 endpoint named no upload.", { op: "s3.createMultipart" });
  }
  return { ...keys, uploadId };
}

/** As `createUpload`, and written down as one of ours. */
export async function beginUpload(
  client: S3Client,
  ctx: Ctx,
  {
    keys,
    attributes,
  }: {
    readonly keys: { readonly key: string; readonly fullKey: string };
    readonly attributes: WriteAttributes & { readonly sha256?: string };
  },
  uploads: UploadBook,
): Promise<FullUpload> {
  const upload = await createUpload(client, ctx, keys, attributes);
  try {
    await uploads.begun(upload.uploadId);
  } catch (error) {
    // Nobody would ever take it away.
    await abortUpload(client, ctx, upload).catch(() => undefined);
    throw error;
  }
  return upload;
}

/** It is over, whether that can be written down or not: then a sweep finds nothing, and the row goes with time. */
export async function noteEnd(uploads: UploadBook, { uploadId }: Pick<MultipartUpload, "uploadId">): Promise<void> {
  await uploads.ended(uploadId).catch(() => undefined);
}

export function attributeHeaders(attributes: WriteAttributes, sha256: string | undefined): Record<string, string> {
  const headers = metadataHeaders(attributes.metadata, sha256);
  if (attributes.contentType !== undefined) headers["content-type"] = attributes.contentType;
  return headers;
}

/** Sends a part that is in memory; the endpoint checks its SHA-256. */
export async function sendPart(
  client: S3Client,
  ctx: Ctx,
  upload: FullUpload,
  part: { readonly partNumber: number; readonly bytes: Uint8Array },
): Promise<PartInfo> {
  const { partNumber, bytes } = part;
  const payloadHash = await sha256Hex(bytes);
  const response = await client.send(ctx, { ...partRequest(upload, partNumber), body: bytes, payloadHash });
  await discardBody(ctx, response, "s3.uploadPart");
  return { partNumber, sizeBytes: bytes.byteLength, etag: bareEtag(header(response.headers, "etag") ?? "") };
}

export function checkPartNumber(partNumber: number): void {
  if (Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= MAX_PARTS) return;
  throw new GfsError("InvalidArgument", `Parts are numbered from 1 to ${MAX_PARTS}, not ${partNumber}.`, {
    op: "s3.uploadPart",
  });
}

/** Sends a part without holding it; its MD5 is compared with the endpoint's. */
export async function streamPart(
  client: S3Client,
  ctx: Ctx,
  upload: FullUpload,
  part: { readonly partNumber: number; readonly body: PartBody },
): Promise<PartInfo> {
  const { partNumber, body } = part;
  // What was read last: a correction of the request opens the body again.
  let md5 = createHash("md5");
  const observed: PartBody = {
    sizeBytes: body.sizeBytes,
    open() {
      md5 = createHash("md5");
      return hashed(exactly(body), md5);
    },
  };
  const response = await client.send(ctx, { ...partRequest(upload, partNumber), body: observed });
  await discardBody(ctx, response, "s3.uploadPart");
  const etag = bareEtag(header(response.headers, "etag") ?? "");
  const encrypted = header(response.headers, "x-amz-server-side-encryption");
  const etagIsMd5 = MD5.test(etag) && (encrypted === undefined || encrypted === "AES256");
  if (etagIsMd5 && etag !== md5.digest("hex")) {
    throw new GfsError("ChecksumMismatch", "The bytes of a part changed on their way; send it again.", {
      op: "s3.uploadPart",
      retry: "safe",
    });
  }
  return { partNumber, sizeBytes: body.sizeBytes, etag };
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

export async function listParts(client: S3Client, ctx: Ctx, upload: FullUpload): Promise<PartInfo[]> {
  const parts: PartInfo[] = [];
  let marker = "";
  for (let page = 0; page <= MAX_PARTS / LISTED_PARTS; page++) {
    const query = {
      uploadId: upload.uploadId,
      "max-parts": String(LISTED_PARTS),
      ...(marker === "" ? {} : { "part-number-marker": marker }),
    };
    const { text } = await client.sendForText(ctx, { op: "s3.listParts", method: "GET", key: upload.fullKey, query });
    const root = parseAnswer(text);
    for (const part of childrenNamed(root, "Part")) {
      parts.push({
        partNumber: Number(childText(part, "PartNumber")),
        sizeBytes: Number(childText(part, "Size")),
        etag: bareEtag(childText(part, "ETag") ?? ""),
      });
    }
    const next = childText(root, "NextPartNumberMarker") ?? "";
    if (childText(root, "IsTruncated") !== "true" || next === "" || next === marker) break;
    marker = next;
  }
  return parts.sort((one, other) => one.partNumber - other.partNumber);
}

export async function completeUpload(
  client: S3Client,
  ctx: Ctx,
  upload: FullUpload,
  ending: { readonly parts: readonly PartInfo[]; readonly conditions?: WriteConditions | undefined },
): Promise<ObjectInfo> {
  const op = "s3.completeMultipart";
  try {
    const { text } = await client.sendForText(ctx, completeRequest(upload, ending.parts, ending.conditions));
    const failure = failureInside(op, parseAnswer(text));
    if (failure !== undefined) throw toError(failure);
  } catch (error) {
    if (await uploadIsGone(client, ctx, upload, error)) {
      const landed = await findLanded(client, ctx, upload, ending.parts);
      if (landed !== undefined) return landed;
      // S3 answers 404 both for an upload that is gone and for an If-Match on an object that is gone.
      if (ending.conditions?.ifMatch !== undefined && isGfsError(error) && error.context["s3Code"] === "NoSuchKey") {
        throw new GfsError("PreconditionFailed", "The object is not there any more.", { op, cause: error });
      }
      throw new GfsError("NotFound", "The upload was completed or aborted.", { op, cause: error });
    }
    if (isGfsError(error, "Conflict")) {
      throw new GfsError("Conflict", "Another write to the same key won; send all parts again.", {
        op,
        retry: "never",
        cause: error,
      });
    }
    throw error;
  }
  // The answer tells neither the size nor the time.
  return headObject(client, ctx, upload.key, upload.fullKey);
}

/** Nothing left is success: another call, or a lifecycle rule, was first. */
export async function abortUpload(client: S3Client, ctx: Ctx, upload: FullUpload): Promise<void> {
  try {
    await client.sendForText(ctx, {
      op: "s3.abortMultipart",
      method: "DELETE",
      key: upload.fullKey,
      query: { uploadId: upload.uploadId },
    });
  } catch (error) {
    if (!isGfsError(error, "NotFound")) throw error;
  }
}

function partRequest(upload: FullUpload, partNumber: number) {
  return {
    op: "s3.uploadPart",
    method: "PUT",
    key: upload.fullKey,
    query: { partNumber: String(partNumber), uploadId: upload.uploadId },
  } as const;
}

function completeRequest(upload: FullUpload, parts: readonly PartInfo[], conditions: WriteConditions | undefined) {
  const listed = parts
    .map(
      ({ partNumber, etag }) =>
        `<Part><PartNumber>${partNumber}</PartNumber><ETag>${escapeXml(quoteEtag(etag))}</ETag></Part>`,
    )
    .join("");
  const body = Buffer.from(
    `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed}</CompleteMultipartUpload>`,
  );
  return {
    op: "s3.completeMultipart",
    method: "POST",
    key: upload.fullKey,
    query: { uploadId: upload.uploadId },
    headers: { ...conditionHeaders(conditions), "content-type": "application/xml" },
    body,
    payloadHash: createHash("sha256").update(body).digest("hex"),
    slow: true,
  } as const;
}

/** Some endpoints fail with an internal error over an upload that is gone; what they say of its parts tells. */
async function uploadIsGone(client: S3Client, ctx: Ctx, upload: FullUpload, error: unknown): Promise<boolean> {
  if (isGfsError(error, "NotFound")) return true;
  if (!isGfsError(error, "Unavailable") || error.context["s3Code"] !== "InternalError") return false;
  try {
    await listParts(client, ctx, upload);
    return false;
  } catch (other) {
    return isGfsError(other, "NotFound");
  }
}

/**
 * An upload that is gone may be so because completing it worked and only the answer was lost. The object then has the
 * entity tag that these parts make: the MD5 of their MD5s and their count.
 */
async function findLanded(
  client: S3Client,
  ctx: Ctx,
  upload: FullUpload,
  parts: readonly PartInfo[],
): Promise<ObjectInfo | undefined> {
  if (!parts.every((part) => MD5.test(part.etag))) return undefined;
  const whole = createHash("md5");
  for (const part of parts) whole.update(part.etag, "hex");
  const expected = `${whole.digest("hex")}-${parts.length}`;
  try {
    const info = await headObject(client, ctx, upload.key, upload.fullKey);
    return info.etag === expected ? info : undefined;
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}
