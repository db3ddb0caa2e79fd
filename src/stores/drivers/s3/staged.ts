/** What S3 does for a staged write. */
import { createHash } from "node:crypto";
import type { Ctx } from "../../../core/context.ts";
import { isGfsError } from "../../../core/errors.ts";
import type { ObjectInfo, PartInfo, WriteAttributes } from "../../store.ts";
import type { PartedEnding, PartedTarget, WholeBody } from "../parted-write.ts";
import type { S3Client } from "./client.ts";
import { abortUpload, attributeHeaders, completeUpload, createUpload, type FullUpload, sendPart } from "./multipart.ts";
import { headOrUndefined, putWhole } from "./putting.ts";

export class S3StageTarget implements PartedTarget<FullUpload> {
  readonly #client: S3Client;
  readonly #keys: { readonly key: string; readonly fullKey: string };

  constructor(client: S3Client, keys: { readonly key: string; readonly fullKey: string }) {
    this.#client = client;
    this.#keys = keys;
  }

  checkAttributes(attributes: WriteAttributes): void {
    attributeHeaders(attributes, undefined);
  }

  async put(ctx: Ctx, { maybeWritten, ...body }: WholeBody): Promise<ObjectInfo> {
    try {
      return await putWhole(this.#client, ctx, { ...this.#keys, ...body });
    } catch (error) {
      if (!maybeWritten || !isGfsError(error, "PreconditionFailed")) throw error;
      const landed = await headOrUndefined(this.#client, ctx, this.#keys);
      const ours = landed?.sha256 === body.sha256 && landed.etag === createHash("md5").update(body.bytes).digest("hex");
      if (!ours) throw error;
      return landed;
    }
  }

  begin(ctx: Ctx, attributes: WriteAttributes): Promise<FullUpload> {
    return createUpload(this.#client, ctx, this.#keys, attributes);
  }

  sendPart(
    ctx: Ctx,
    upload: FullUpload,
    part: { readonly partNumber: number; readonly bytes: Uint8Array },
  ): Promise<PartInfo> {
    return sendPart(this.#client, ctx, upload, part);
  }

  /** S3 took the attributes when the upload began; what came later is not kept. */
  complete(ctx: Ctx, upload: FullUpload, { parts, conditions }: PartedEnding): Promise<ObjectInfo> {
    return completeUpload(this.#client, ctx, upload, { parts, conditions });
  }

  discard(ctx: Ctx, upload: FullUpload): Promise<void> {
    return abortUpload(this.#client, ctx, upload);
  }
}
