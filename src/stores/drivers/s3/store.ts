/** The Store port over one S3 bucket, or the part of it below a prefix. */
import { Semaphore } from "../../../core/async/semaphore.ts";
import type { Ctx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
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
import type { UploadBook } from "../../upload-book.ts";
import type { S3Client } from "./client.ts";
import {
  MAX_OBJECT_BYTES,
  MAX_PART_BYTES,
  MAX_PARTS,
  MIB,
  MIN_PART_BYTES,
  normalisePrefix,
  type S3StoreConfig,
} from "./config.ts";
import { copyObject, MAX_CARRIED_BYTES } from "./copying.ts";
import { BulkDelete, deleteObject } from "./deleting.ts";
import { listObjects, openUploads } from "./listing.ts";
import {
  abortUpload,
  checkPartNumber,
  completeUpload,
  beginUpload,
  listParts,
  noteEnd,
  sendPart,
  streamPart,
} from "./multipart.ts";
import { getObject, headObject } from "./reading.ts";
import { S3StageTarget } from "./writing.ts";

const CAPABILITIES: Omit<StoreCapabilities, "movableBytes"> = {
  conditionalWrites: true,
  conditionalReads: true,
  ranges: true,
  userMetadata: true,
  multipart: { minPartBytes: MIN_PART_BYTES, maxPartBytes: MAX_PART_BYTES, maxParts: MAX_PARTS },
  serverSideCopy: true,
  // Known to hold only when an upload in parts is completed.
  conditionalCopies: false,
  conditionalCopyBytes: MAX_CARRIED_BYTES,
  movesUploads: false,
  presign: true,
  maxObjectBytes: MAX_OBJECT_BYTES,
  listAfter: "seek",
};

/** Besides the time that leftovers are given: no sweep has found it, so it is gone. */
const FORGOTTEN_AFTER_MS = 28 * 86_400_000;
const DEFAULT_PART_BYTES = 8 * MIB;
const DEFAULT_PARALLEL_PARTS = 8;
const DEFAULT_UPLOAD_BUFFER_BYTES = 128 * MIB;

export class S3Store implements Store {
  readonly driver = "s3";
  readonly capabilities: StoreCapabilities;
  readonly #client: S3Client;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #limits: PartLimits;
  readonly #bulkDelete: BulkDelete;
  readonly #uploads: UploadBook;

  constructor(
    client: S3Client,
    config: S3StoreConfig,
    { uploads, ...deps }: { readonly clock: Clock; readonly random: Random; readonly uploads: UploadBook },
  ) {
    this.#uploads = uploads;
    this.#client = client;
    this.#clock = deps.clock;
    this.#prefix = normalisePrefix(config.prefix);
    this.#limits = {
      budget: new Semaphore(config.uploadBufferBytes ?? DEFAULT_UPLOAD_BUFFER_BYTES),
      partSizeBytes: config.partSizeBytes ?? DEFAULT_PART_BYTES,
      parallelParts: config.parallelParts ?? DEFAULT_PARALLEL_PARTS,
      maxPartBytes: MAX_PART_BYTES,
      maxParts: MAX_PARTS,
      maxObjectBytes: MAX_OBJECT_BYTES,
      ...deps,
    };
    this.capabilities = { ...CAPABILITIES, movableBytes: this.#limits.partSizeBytes };
    this.#bulkDelete = new BulkDelete(client, this.#prefix);
  }

  async head(ctx: Ctx, key: string): Promise<ObjectInfo> {
    return headObject(this.#client, ctx, key, this.#fullKey(key));
  }

  async get(ctx: Ctx, key: string, options: GetOptions = {}): Promise<ObjectBody> {
    return getObject(this.#client, ctx, this.#keys(key), options);
  }

  async stage(ctx: Ctx, key: string, options: StageOptions = {}): Promise<StagedWrite> {
    const target = new S3StageTarget(this.#client, key, (other) => this.#keys(other), this.#uploads);
    return new PartedWrite(ctx, target, this.#limits, options);
  }

  async createMultipart(ctx: Ctx, key: string, options: MultipartOptions): Promise<MultipartUpload> {
    const keys = this.#keys(key);
    const { uploadId } = await this.#repeat(ctx, () =>
      beginUpload(this.#client, ctx, { keys, attributes: options }, this.#uploads),
    );
    return { key, uploadId };
  }

  async uploadPart(ctx: Ctx, upload: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    const full = this.#upload(upload);
    checkPartNumber(partNumber);
    return sendPartBody(ctx, body, this.#limits, {
      sendBytes: (bytes) => sendPart(this.#client, ctx, full, { partNumber, bytes }),
      sendStream: () => streamPart(this.#client, ctx, full, { partNumber, body }),
    });
  }

  async listParts(ctx: Ctx, upload: MultipartUpload): Promise<PartInfo[]> {
    const full = this.#upload(upload);
    return this.#repeat(ctx, () => listParts(this.#client, ctx, full));
  }

  async completeMultipart(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    conditions?: CompleteOptions,
  ): Promise<ObjectInfo> {
    const full = this.#upload(upload);
    if (conditions?.as !== undefined) throw new GfsError("Unsupported", "An upload in parts keeps its key.");
    const info = await this.#repeat(ctx, () => completeUpload(this.#client, ctx, full, { parts, conditions }));
    await noteEnd(this.#uploads, upload);
    return info;
  }

  async abortMultipart(ctx: Ctx, upload: MultipartUpload): Promise<void> {
    const full = this.#upload(upload);
    await this.#repeat(ctx, () => abortUpload(this.#client, ctx, full));
    await noteEnd(this.#uploads, upload);
  }

  async copy(ctx: Ctx, from: string, to: string, options: CopyOptions = {}): Promise<ObjectInfo> {
    const { ifMatch, ifNoneMatch, sourceIfMatch, mayShare: _, ...attributes } = options;
    const conditions = {
      ...(ifMatch === undefined ? {} : { ifMatch }),
      ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
    };
    const plan = {
      fromFullKey: this.#fullKey(from),
      ...this.#keys(to),
      attributes,
      conditions,
      sourceIfMatch,
      uploads: this.#uploads,
    };
    // A copy made twice is the same copy; on conditions the second would meet the first.
    const conditional = ifMatch !== undefined || ifNoneMatch !== undefined;
    const copy = (): Promise<ObjectInfo> => copyObject(this.#client, ctx, plan);
    return conditional ? copy() : this.#repeat(ctx, copy);
  }

  async delete(ctx: Ctx, key: string, options: { readonly ifMatch?: ETag } = {}): Promise<void> {
    const fullKey = this.#fullKey(key);
    await this.#repeat(ctx, () => deleteObject(this.#client, ctx, fullKey, options.ifMatch));
  }

  /** What was answered stays. */
  async flush(): Promise<void> {}

  async deleteMany(ctx: Ctx, keys: readonly string[]): Promise<DeleteOutcome[]> {
    for (const key of keys) checkObjectKey(key);
    return this.#repeat(ctx, () => this.#bulkDelete.delete(ctx, keys));
  }

  async list(ctx: Ctx, query: ListQuery): Promise<ListPage> {
    return listObjects(this.#client, ctx, this.#prefix, query);
  }

  async presign(_ctx: Ctx, key: string, query: PresignQuery): Promise<string> {
    const { expiresSeconds, method } = query;
    if (!(Number.isInteger(expiresSeconds) && expiresSeconds >= 1 && expiresSeconds <= 604_800)) {
      throw new GfsError("InvalidArgument", "A presigned address lives between 1 second and 7 days.", {
        op: "s3.presign",
      });
    }
    return this.#client.presign(method, this.#fullKey(key), expiresSeconds);
  }

  /** Lists one key: unlike a HEAD of the bucket, a refusal comes with the reason. */
  async check(ctx: Ctx): Promise<void> {
    await listObjects(this.#client, ctx, this.#prefix, { limit: 1 });
  }

  /** S3 does not tell whose an upload is, so that those of other tools in the bucket stay: only what is in the book goes. */
  async sweep(ctx: Ctx, olderThanMs: number, isInUse?: UploadCheck): Promise<number> {
    const before = this.#clock.nowMs() - olderThanMs;
    let removed = 0;
    for await (const upload of openUploads(this.#client, ctx, this.#prefix)) {
      const { uploadId, initiatedMs } = upload;
      if (!(initiatedMs < before) || !(await this.#uploads.isOurs(uploadId))) continue;
      if ((await isInUse?.(uploadId)) === true) continue;
      await abortUpload(this.#client, ctx, { key: upload.fullKey, ...upload });
      await this.#uploads.ended(uploadId);
      removed += 1;
    }
    await this.#uploads.forgetBefore(before - FORGOTTEN_AFTER_MS);
    return removed;
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #repeat<T>(ctx: Ctx, work: () => Promise<T>): Promise<T> {
    return repeatSafely(ctx, this.#limits, work);
  }

  #fullKey(key: string): string {
    checkObjectKey(key);
    if (this.#prefix !== "") checkObjectKey(this.#prefix + key);
    return this.#prefix + key;
  }

  #keys(key: string): { readonly key: string; readonly fullKey: string } {
    return { key, fullKey: this.#fullKey(key) };
  }

  #upload(upload: MultipartUpload) {
    return { ...upload, fullKey: this.#fullKey(upload.key) };
  }
}
