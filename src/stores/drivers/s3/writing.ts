/** Writing: one object in one request, with conditions, and what S3 does for a staged write. */
import { createHash } from "node:crypto";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { ObjectInfo, PartInfo, WriteAttributes, WriteConditions } from "../../store.ts";
import type { UploadBook } from "../../upload-book.ts";
import type { PartedEnding, PartedTarget, WholeBody } from "../remote/parted-write.ts";
import { discardBody, type S3Client } from "./client.ts";
import {
  abortUpload,
  attributeHeaders,
  beginUpload,
  completeUpload,
  type FullUpload,
  noteEnd,
  sendPart,
} from "./multipart.ts";
import { conditionHeaders, headOrUndefined, infoFrom } from "./reading.ts";

interface ObjectKeys {
  readonly key: string;
  readonly fullKey: string;
}

export class S3StageTarget implements PartedTarget<FullUpload> {
  readonly #client: S3Client;
  readonly #keys: ObjectKeys;
  readonly #keysOf: (key: string) => ObjectKeys;
  readonly #uploads: UploadBook;

  constructor(client: S3Client, key: string, keysOf: (key: string) => ObjectKeys, uploads: UploadBook) {
    this.#client = client;
    this.#keys = keysOf(key);
    this.#keysOf = keysOf;
    this.#uploads = uploads;
  }

  checkAttributes(attributes: WriteAttributes): void {
    attributeHeaders(attributes, undefined);
  }

  async put(ctx: Ctx, { maybeWritten, as, ...body }: WholeBody): Promise<ObjectInfo> {
    const keys = as === undefined ? this.#keys : this.#keysOf(as);
    try {
      return await putWhole(this.#client, ctx, { ...keys, ...body });
    } catch (error) {
      if (!maybeWritten || !isGfsError(error, "PreconditionFailed")) throw error;
      const landed = await headOrUndefined(this.#client, ctx, keys);
      const ours = landed?.sha256 === body.sha256 && landed.etag === createHash("md5").update(body.bytes).digest("hex");
      if (!ours) throw error;
      return landed;
    }
  }

  begin(ctx: Ctx, attributes: WriteAttributes): Promise<FullUpload> {
    return beginUpload(this.#client, ctx, { keys: this.#keys, attributes }, this.#uploads);
  }

  sendPart(
    ctx: Ctx,
    upload: FullUpload,
    part: { readonly partNumber: number; readonly bytes: Uint8Array },
  ): Promise<PartInfo> {
    return sendPart(this.#client, ctx, upload, part);
  }

  /** S3 took the attributes when the upload began; what came later is not kept. */
  async complete(ctx: Ctx, upload: FullUpload, { parts, conditions }: PartedEnding): Promise<ObjectInfo> {
    const info = await completeUpload(this.#client, ctx, upload, { parts, conditions });
    await noteEnd(this.#uploads, upload);
    return info;
  }

  async discard(ctx: Ctx, upload: FullUpload): Promise<void> {
    await abortUpload(this.#client, ctx, upload);
    await noteEnd(this.#uploads, upload);
  }
}

export interface WholeObject {
  readonly key: string;
  readonly fullKey: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly attributes: WriteAttributes;
  readonly conditions?: WriteConditions | undefined;
}

export async function putWhole(client: S3Client, ctx: Ctx, object: WholeObject): Promise<ObjectInfo> {
  const { conditions } = object;
  try {
    return await send(client, ctx, object, client.comparesQuotes);
  } catch (error) {
    if (conditions?.ifMatch === undefined) throw error;
    if (isGfsError(error, "NotFound")) throw gone(error);
    if (!isGfsError(error, "PreconditionFailed") || client.comparesQuotes) throw error;
    // Older Ceph compares the header as it is, quotes and all, and so refuses even the right one.
    const current = await headOrUndefined(client, ctx, object);
    if (current === undefined) throw gone(error);
    if (current.etag !== conditions.ifMatch) throw error;
    const info = await send(client, ctx, object, true);
    client.comparesQuotes = true;
    return info;
  }
}

async function send(client: S3Client, ctx: Ctx, object: WholeObject, bare: boolean): Promise<ObjectInfo> {
  const { attributes, sha256, bytes } = object;
  const response = await client.send(ctx, {
    op: "s3.put",
    method: "PUT",
    key: object.fullKey,
    headers: { ...attributeHeaders(attributes, sha256), ...conditionHeaders(object.conditions, bare) },
    body: bytes,
    payloadHash: sha256,
  });
  await discardBody(ctx, response, "s3.put");
  const info = infoFrom(object.key, response.headers, bytes.byteLength);
  // Encrypted with a key of its own, an object has another ETag than the MD5 of its bytes; then the answer proves nothing.
  const verified = info.etag === createHash("md5").update(bytes).digest("hex");
  return {
    ...info,
    ...(verified ? { verified } : {}),
    ...(attributes.contentType === undefined ? {} : { contentType: attributes.contentType }),
    metadata: attributes.metadata ?? {},
    sha256,
  };
}

function gone(cause: unknown): GfsError {
  return new GfsError("PreconditionFailed", "The object is not there any more.", { op: "s3.put", cause });
}
