/** What S3 does for a staged write. */
import { createHash } from "node:crypto";
import type { Ctx } from "../../../core/context.ts";
import { isGfsError } from "../../../core/errors.ts";
import type { ObjectInfo, PartInfo, WriteAttributes } from "../../store.ts";
import type { PartedEnding, PartedTarget, WholeBody } from "../parted-write.ts";
import type { S3Client } from "./client.ts";
import type { UploadBook } from "../../upload-book.ts";
import {
  abortUpload,
  attributeHeaders,
  beginUpload,
  completeUpload,
  type FullUpload,
  noteEnd,
  sendPart,
} from "./multipart.ts";
import { headOrUndefined, putWhole } from "./putting.ts";

export class S3StageTarget implements PartedTarget<FullUpload> {
  readonly #client: S3Client;
  readonly #keys: { readonly key: string; readonly fullKey: string };

  readonly #uploads: UploadBook;

  constructor(client: S3Client, keys: { readonly key: string; readonly fullKey: string }, uploads: UploadBook) {
    this.#client = client;
    this.#keys = keys;
    this.#uploads = uploads;
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
