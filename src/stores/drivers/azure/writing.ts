/** What Azure does for a staged write. */
import { createHash } from "node:crypto";
import type { BlockBlobClient } from "@azure/storage-blob";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { ObjectInfo, PartInfo, WriteAttributes } from "../../store.ts";
import type { PartedEnding, PartedTarget, WholeBody } from "../remote/parted-write.ts";
import { allowManyListeners } from "../remote/shared-signal.ts";
import { azureConditions, azureMetadata, infoOf } from "./attributes.ts";
import type { Blocks } from "./multipart.ts";
import { toAzureError } from "./failures.ts";

export class AzureStageTarget implements PartedTarget<string> {
  readonly #blobOf: (key: string) => BlockBlobClient;
  readonly #blob: BlockBlobClient;
  readonly #blocks: Blocks;
  readonly #key: string;

  constructor(blobOf: (key: string) => BlockBlobClient, blocks: Blocks, key: string) {
    this.#blobOf = blobOf;
    this.#blob = blobOf(key);
    this.#blocks = blocks;
    this.#key = key;
  }

  checkAttributes(attributes: WriteAttributes): void {
    azureMetadata(attributes, undefined);
  }

  async put(ctx: Ctx, body: WholeBody): Promise<ObjectInfo> {
    const { attributes, bytes, conditions, as: key = this.#key } = body;
    const blob = this.#blobOf(key);
    const metadata = azureMetadata(attributes, body.sha256);
    const { contentType } = attributes;
    const md5 = createHash("md5").update(bytes).digest();
    try {
      const done = await blob.upload(bytes, bytes.byteLength, {
        abortSignal: allowManyListeners(ctx.signal),
        conditions: azureConditions(conditions),
        metadata,
        blobHTTPHeaders: {
          blobContentMD5: md5,
          ...(contentType === undefined ? {} : { blobContentType: contentType }),
        },
      });
      return infoOf(key, bytes.byteLength, { ...done, contentType, metadata });
    } catch (error) {
      const failure = toAzureError(error, "azure.put", ctx.signal);
      if (isGfsError(failure, "NotFound") && conditions?.ifMatch !== undefined) {
        throw new GfsError("PreconditionFailed", "The object is not there any more.", {
          op: "azure.put",
          cause: failure,
        });
      }
      const landed =
        body.maybeWritten && isGfsError(failure, "PreconditionFailed")
          ? await this.#findLanded(ctx, key, body.sha256, md5)
          : undefined;
      if (landed === undefined) throw failure;
      return landed;
    }
  }

  /** No record: Azure itself drops the blocks of a write that never ends. */
  async begin(): Promise<string> {
    return this.#blocks.newId();
  }

  sendPart(ctx: Ctx, id: string, part: { readonly partNumber: number; readonly bytes: Uint8Array }): Promise<PartInfo> {
    return this.#blocks.sendBytes(ctx, this.#blob, { id, ...part });
  }

  complete(ctx: Ctx, id: string, ending: PartedEnding): Promise<ObjectInfo> {
    return this.#blocks.commit(ctx, this.#blob, { id, key: this.#key, ...ending });
  }

  async discard(): Promise<void> {
    // Blocks that were not committed are invisible, and Azure has no request that removes only them.
  }

  async #findLanded(ctx: Ctx, key: string, sha256: string, md5: Uint8Array): Promise<ObjectInfo | undefined> {
    try {
      const facts = await this.#blobOf(key).getProperties({ abortSignal: allowManyListeners(ctx.signal) });
      const info = infoOf(key, facts.contentLength ?? 0, facts);
      const same =
        info.sha256 === sha256 && facts.contentMD5 !== undefined && Buffer.from(md5).equals(facts.contentMD5);
      return same ? info : undefined;
    } catch (error) {
      const failure = toAzureError(error, "azure.put", ctx.signal);
      if (isGfsError(failure, "NotFound")) return undefined;
      throw failure;
    }
  }
}
