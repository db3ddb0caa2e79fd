/** The Store port over one Azure container, or the part of it below a prefix. */
import type { BlockBlobClient } from "@azure/storage-blob";
import { forEachBounded } from "../../../core/async/for-each.ts";
import { Semaphore } from "../../../core/async/semaphore.ts";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Random } from "../../../core/ports/random.ts";
import { checkObjectKey } from "../../object-key.ts";
import type {
  CompleteOptions,
  CopyOptions,
  DeleteOutcome,
  ETag,
  GetOptions,
  ListPage,
  ListQuery,
  MultipartOptions,
  MultipartUpload,
  ObjectBody,
  ObjectInfo,
  PartBody,
  PartInfo,
  PresignQuery,
  StagedWrite,
  StageOptions,
  Store,
  StoreCapabilities,
  UploadCheck,
} from "../../store.ts";
import { sendPartBody } from "../remote/part-body.ts";
import { type PartLimits, PartedWrite } from "../remote/parted-write.ts";
import { repeatSafely } from "../remote/repeat.ts";
import { allowManyListeners } from "../remote/shared-signal.ts";
import { azureConditions, azureMetadata, infoOf } from "./attributes.ts";
import { Blocks, checkPartNumber } from "./multipart.ts";
import type { AzureContainer } from "./client.ts";
import { type AzureStoreConfig, MAX_BLOCK_BYTES, MAX_OBJECT_BYTES, MAX_PART_BYTES, MAX_PARTS, MIB } from "./config.ts";
import { copyBlob } from "./copying.ts";
import { toAzureError } from "./failures.ts";
import { listBlobs } from "./listing.ts";
import { nameOf } from "./names.ts";
import { getBlob } from "./reading.ts";
import { AzureStageTarget } from "./writing.ts";

const PARALLEL_DELETES = 16;

export class AzureStore implements Store {
  readonly driver = "azure";
  readonly capabilities: StoreCapabilities;
  readonly #azure: AzureContainer;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #blocks: Blocks;
  readonly #limits: PartLimits;

  constructor(
    azure: AzureContainer,
    config: AzureStoreConfig,
    deps: { readonly clock: Clock; readonly random: Random; readonly streamedBlockBytes?: number },
  ) {
    this.#azure = azure;
    this.#clock = deps.clock;
    const bare = (config.prefix ?? "").replace(/^\/+|\/+$/g, "");
    this.#prefix = bare === "" ? "" : `${bare}/`;
    this.#blocks = new Blocks(azure.container, this.#prefix, deps);
    this.#limits = {
      budget: new Semaphore(config.uploadBufferBytes ?? 128 * MIB),
      partSizeBytes: config.partSizeBytes ?? 8 * MIB,
      parallelParts: config.parallelParts ?? 8,
      maxPartBytes: MAX_BLOCK_BYTES,
      maxParts: MAX_PARTS,
      maxObjectBytes: MAX_OBJECT_BYTES,
      ...deps,
    };
    this.capabilities = {
      conditionalWrites: true,
      conditionalReads: true,
      ranges: true,
      userMetadata: true,
      multipart: { minPartBytes: 1, maxPartBytes: MAX_PART_BYTES, maxParts: MAX_PARTS },
      serverSideCopy: true,
      conditionalCopies: true,
      movableBytes: this.#limits.partSizeBytes,
      movesUploads: false,
      presign: azure.presign !== undefined,
      maxObjectBytes: MAX_OBJECT_BYTES,
      listAfter: "scan",
    };
  }

  async head(ctx: Ctx, key: string): Promise<ObjectInfo> {
    const blob = this.#blob(key);
    const facts = await this.#call(ctx, "azure.head", (abortSignal) => blob.getProperties({ abortSignal }));
    return infoOf(key, facts.contentLength ?? 0, facts);
  }

  async get(ctx: Ctx, key: string, options: GetOptions = {}): Promise<ObjectBody> {
    return getBlob(this.#blob(key), ctx, key, options);
  }

  async stage(ctx: Ctx, key: string, options: StageOptions = {}): Promise<StagedWrite> {
    const target = new AzureStageTarget((other) => this.#blob(other), this.#blocks, key);
    return new PartedWrite(ctx, target, this.#limits, options);
  }

  async createMultipart(ctx: Ctx, key: string, options: MultipartOptions): Promise<MultipartUpload> {
    this.#blob(key);
    azureMetadata(options, options.sha256);
    const uploadId = this.#blocks.newId();
    const { contentType, metadata, sha256 } = options;
    await this.#blocks.writeRecord(ctx, uploadId, {
      key,
      ...(contentType === undefined ? {} : { contentType }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(sha256 === undefined ? {} : { sha256 }),
    });
    return { key, uploadId };
  }

  async uploadPart(ctx: Ctx, upload: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    const blob = this.#blob(upload.key);
    await this.#blocks.readRecord(ctx, upload.uploadId);
    const id = upload.uploadId;
    checkPartNumber(partNumber);
    return sendPartBody(ctx, body, this.#limits, {
      sendBytes: (bytes) => this.#blocks.sendBytes(ctx, blob, { id, partNumber, bytes }),
      sendStream: () => this.#blocks.sendStream(ctx, blob, { id, partNumber, body }),
    });
  }

  async listParts(ctx: Ctx, upload: MultipartUpload): Promise<PartInfo[]> {
    const blob = this.#blob(upload.key);
    await this.#blocks.readRecord(ctx, upload.uploadId);
    return this.#blocks.list(ctx, blob, upload.uploadId);
  }

  async completeMultipart(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    options: CompleteOptions = {},
  ): Promise<ObjectInfo> {
    const blob = this.#blob(upload.key);
    const { sha256, ...begun } = await this.#blocks.readRecord(ctx, upload.uploadId);
    const { metadata, as, ...conditions } = options;
    if (as !== undefined) throw new GfsError("Unsupported", "An upload in parts keeps its key.");
    const attributes = metadata === undefined ? begun : { ...begun, metadata: { ...begun.metadata, ...metadata } };
    const ending = { id: upload.uploadId, key: upload.key, parts, attributes, sha256, conditions };
    const info = await this.#repeat(ctx, () => this.#blocks.commit(ctx, blob, ending));
    await this.#repeat(ctx, () => this.#blocks.deleteRecord(ctx, upload.uploadId));
    return info;
  }

  async abortMultipart(ctx: Ctx, upload: MultipartUpload): Promise<void> {
    await this.#repeat(ctx, () => this.#blocks.deleteRecord(ctx, upload.uploadId));
  }

  async copy(ctx: Ctx, from: string, to: string, options: CopyOptions = {}): Promise<ObjectInfo> {
    return copyBlob(ctx, { from: this.#blob(from), to: this.#blob(to), key: to, options, clock: this.#clock });
  }

  async delete(ctx: Ctx, key: string, options: { readonly ifMatch?: ETag } = {}): Promise<void> {
    const blob = this.#blob(key);
    const conditions = azureConditions(options.ifMatch === undefined ? undefined : { ifMatch: options.ifMatch });
    try {
      await this.#repeat(ctx, () =>
        this.#call(ctx, "azure.delete", (abortSignal) =>
          blob.delete({ abortSignal, conditions, deleteSnapshots: "include" }),
        ),
      );
    } catch (error) {
      if (!isGfsError(error, "NotFound")) throw error;
    }
  }

  /** What was answered stays. */
  async flush(): Promise<void> {}

  async deleteMany(ctx: Ctx, keys: readonly string[]): Promise<DeleteOutcome[]> {
    for (const key of keys) checkObjectKey(key);
    const outcomes: DeleteOutcome[] = keys.map((key) => ({ key }));
    await forEachBounded(keys, PARALLEL_DELETES, async (key, index) => {
      try {
        await this.delete(ctx, key);
      } catch (error) {
        outcomes[index] = { key, error: toGfsError(error, "azure.deleteMany") };
      }
    });
    return outcomes;
  }

  async list(ctx: Ctx, query: ListQuery): Promise<ListPage> {
    return listBlobs(this.#azure.container, ctx, this.#prefix, query);
  }

  /** A PUT by such an address must carry the header `x-ms-blob-type: BlockBlob`. */
  async presign(_ctx: Ctx, key: string, { method, expiresSeconds }: PresignQuery): Promise<string> {
    const { presign } = this.#azure;
    if (presign === undefined) {
      throw new GfsError("Unsupported", "Addresses for others need the account key in the site's configuration.", {
        op: "azure.presign",
      });
    }
    if (!(Number.isInteger(expiresSeconds) && expiresSeconds >= 1 && expiresSeconds <= 604_800)) {
      throw new GfsError("InvalidArgument", "A presigned address lives between 1 second and 7 days.", {
        op: "azure.presign",
      });
    }
    const nowMs = this.#clock.nowMs();
    checkObjectKey(key);
    return presign(this.#prefix + nameOf(key), method === "PUT" ? "cw" : "r", {
      // Clocks differ by some minutes.
      startsOn: new Date(nowMs - 5 * 60_000),
      expiresOn: new Date(nowMs + expiresSeconds * 1_000),
    });
  }

  async check(ctx: Ctx): Promise<void> {
    await listBlobs(this.#azure.container, ctx, this.#prefix, { limit: 1 });
  }

  /** Blocks without an object the service itself drops after a week; what is removed here are the records of uploads. */
  async sweep(ctx: Ctx, olderThanMs: number, isInUse?: UploadCheck): Promise<number> {
    return this.#blocks.sweep(ctx, this.#clock.nowMs() - olderThanMs, isInUse);
  }

  async close(): Promise<void> {
    // The SDK's connections close themselves when they have been idle.
  }

  #repeat<T>(ctx: Ctx, work: () => Promise<T>): Promise<T> {
    return repeatSafely(ctx, this.#limits, work);
  }

  #blob(key: string): BlockBlobClient {
    checkObjectKey(key);
    const name = this.#prefix + nameOf(key);
    if (name.length > 1_024)
      throw new GfsError("KeyTooLong", "Azure's names have at most 1,024 characters.", { op: "azure.key" });
    return this.#azure.container.getBlockBlobClient(name);
  }

  async #call<T>(ctx: Ctx, op: string, work: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await work(allowManyListeners(ctx.signal));
    } catch (error) {
      throw toAzureError(error, op, ctx.signal);
    }
  }
}
