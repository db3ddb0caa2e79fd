import { throwIfAborted, type Ctx } from "../../../core/context.ts";
import { GfsError, toGfsError } from "../../../core/errors.ts";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { checkConditions } from "../../conditions.ts";
import { checkObjectKey } from "../../object-key.ts";
import type {
  CompleteOptions,
  CopyOptions,
  DeleteOutcome,
  GetOptions,
  ListPage,
  ListQuery,
  MultipartOptions,
  MultipartUpload,
  ObjectBody,
  ObjectInfo,
  PartBody,
  PartInfo,
  StagedWrite,
  StageOptions,
  Store,
  UploadCheck,
} from "../../store.ts";
import { CAPABILITIES, DEFAULT_MAX_BYTES, type MemoryStoreConfig } from "./config.ts";
import { MemoryContent } from "./content.ts";
import { full } from "./failures.ts";
import { listObjects } from "./listing.ts";
import { MemoryUploads } from "./multipart.ts";
import { openBody } from "./reading.ts";
import { stageWrite } from "./writing.ts";

/** Objects in this process: for tests, trials and caches whose loss is nothing. */
export function createMemoryStore(config: MemoryStoreConfig = {}, deps: { readonly clock?: Clock } = {}): Store {
  return new MemoryStore(config.maxBytes ?? DEFAULT_MAX_BYTES, deps.clock ?? systemClock);
}

class MemoryStore implements Store {
  readonly driver = "memory";
  readonly capabilities = CAPABILITIES;
  readonly #clock: Clock;
  readonly #content: MemoryContent;
  readonly #uploads: MemoryUploads;

  constructor(maxBytes: number, clock: Clock) {
    this.#clock = clock;
    this.#content = new MemoryContent(maxBytes, clock);
    this.#uploads = new MemoryUploads(this.#content, clock);
  }

  async head(_ctx: Ctx, key: string): Promise<ObjectInfo> {
    return this.#content.get(key).info;
  }

  async get(ctx: Ctx, key: string, options?: GetOptions): Promise<ObjectBody> {
    throwIfAborted(ctx, "store.get");
    return openBody(ctx, this.#content.get(key), options);
  }

  async stage(_ctx: Ctx, key: string, options: StageOptions = {}): Promise<StagedWrite> {
    return stageWrite(this.#content, key, options);
  }

  async createMultipart(_ctx: Ctx, key: string, options: MultipartOptions): Promise<MultipartUpload> {
    return this.#uploads.create(key, options);
  }

  async uploadPart(ctx: Ctx, upload: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    return await this.#uploads.uploadPart(ctx, upload, partNumber, body);
  }

  async listParts(_ctx: Ctx, upload: MultipartUpload): Promise<PartInfo[]> {
    return this.#uploads.listParts(upload);
  }

  async completeMultipart(
    _ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    options: CompleteOptions = {},
  ): Promise<ObjectInfo> {
    return this.#uploads.complete(upload, parts, options);
  }

  async abortMultipart(_ctx: Ctx, { uploadId }: MultipartUpload): Promise<void> {
    this.#uploads.forget(uploadId, 0);
  }

  async copy(_ctx: Ctx, from: string, to: string, options: CopyOptions = {}): Promise<ObjectInfo> {
    checkObjectKey(to);
    const { info, bytes } = this.#content.get(from);
    if (options.sourceIfMatch !== undefined && options.sourceIfMatch !== info.etag) {
      throw new GfsError("PreconditionFailed", "The source is another object by now.", { op: "store.copy" });
    }
    checkConditions(options, this.#content.find(to)?.info);
    this.#content.charge(bytes.length);
    const contentType = options.contentType ?? info.contentType;
    return this.#content.put(to, bytes, {
      sha256: info.sha256,
      metadata: options.metadata ?? info.metadata,
      ...(contentType === undefined ? {} : { contentType }),
    });
  }

  async delete(_ctx: Ctx, key: string, options: { readonly ifMatch?: string } = {}): Promise<void> {
    this.#content.delete(key, options.ifMatch);
  }

  async flush(): Promise<void> {}

  async deleteMany(ctx: Ctx, keys: readonly string[]): Promise<DeleteOutcome[]> {
    const outcomes: DeleteOutcome[] = [];
    for (const key of keys) {
      try {
        await this.delete(ctx, key);
        outcomes.push({ key });
      } catch (error) {
        outcomes.push({ key, error: toGfsError(error) });
      }
    }
    return outcomes;
  }

  async list(_ctx: Ctx, query: ListQuery): Promise<ListPage> {
    return listObjects(this.#content, query);
  }

  async presign(): Promise<string> {
    throw new GfsError(
      "Unsupported",
      "A site in memory has no addresses to hand out; read the object through GlobalFS.",
      { op: "store.presign" },
    );
  }

  async check(): Promise<void> {
    const { usedBytes, maxBytes } = this.#content;
    if (usedBytes >= maxBytes) throw full(maxBytes, "store.check");
  }

  async sweep(_ctx: Ctx, olderThanMs: number, isInUse?: UploadCheck): Promise<number> {
    return await this.#uploads.sweep(this.#clock.nowMs() - olderThanMs, isInUse);
  }

  async close(): Promise<void> {
    this.#content.clear();
    this.#uploads.clear();
  }
}
