/** One object in one request, with conditions. */
import { createHash } from "node:crypto";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { ObjectInfo, WriteAttributes, WriteConditions } from "../../store.ts";
import { discardBody, type S3Client } from "./client.ts";
import { attributeHeaders } from "./multipart.ts";
import { conditionHeaders, headObject, infoFrom } from "./objects.ts";

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

export async function headOrUndefined(
  client: S3Client,
  ctx: Ctx,
  keys: { readonly key: string; readonly fullKey: string },
): Promise<ObjectInfo | undefined> {
  try {
    return await headObject(client, ctx, keys.key, keys.fullKey);
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}

function gone(cause: unknown): GfsError {
  return new GfsError("PreconditionFailed", "The object is not there any more.", { op: "s3.put", cause });
}
