import { createHash, randomBytes } from "node:crypto";
import { throwIfAborted, type Ctx } from "../../../core/context.ts";
import { GfsError, toGfsError } from "../../../core/errors.ts";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { spanOf } from "../../byte-range.ts";
import { checkConditions, checkReadCondition } from "../../conditions.ts";
import { checkObjectKey, compareKeys } from "../../object-key.ts";
import type {
  CompleteOptions,
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
  StoreCapabilities,
  UploadCheck,
  WriteAttributes,
  WriteConditions,
} from "../../store.ts";

export interface MemoryStoreConfig {
  /** All objects together, those being written included; a write past it is `NoSpace`. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 256 * 1024 ** 2;
const PIECE_BYTES = 256 * 1024;

interface StoredObject {
  readonly info: ObjectInfo;
  readonly bytes: Buffer;
}

interface Upload {
  readonly key: string;
  readonly options: MultipartOptions;
  readonly createdMs: number;
  readonly parts: Map<number, { readonly info: PartInfo; readonly bytes: Buffer }>;
}

/** Objects in this process: for tests, trials and caches whose loss is nothing. */
export function createMemoryStore(config: MemoryStoreConfig = {}, deps: { readonly clock?: Clock } = {}): Store {
  return new MemoryStore(config.maxBytes ?? DEFAULT_MAX_BYTES, deps.clock ?? systemClock);
}

class MemoryStore implements Store {
  readonly driver = "memory";
  readonly capabilities: StoreCapabilities = {
    conditionalWrites: true,
    conditionalReads: true,
    ranges: true,
    userMetadata: true,
    multipart: { minPartBytes: 1, maxPartBytes: 1024 ** 3, maxParts: 10_000 },
    serverSideCopy: true,
    presign: false,
    maxObjectBytes: 2 ** 31 - 1,
    listAfter: "seek",
  };
  readonly #objects = new Map<string, StoredObject>();
  /** Sorted when a listing needs it and a key has come or gone since. */
  #sorted: string[] | undefined = [];
  readonly #uploads = new Map<string, Upload>();
  readonly #maxBytes: number;
  readonly #clock: Clock;
  #usedBytes = 0;

  constructor(maxBytes: number, clock: Clock) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  #charge(sizeBytes: number): void {
    if (this.#usedBytes + sizeBytes > this.#maxBytes) {
      throw new GfsError("NoSpace", `The memory site is full (${this.#maxBytes} bytes); raise its max_bytes.`, {
        op: "store.write",
      });
    }
    this.#usedBytes += sizeBytes;
  }

  #get(key: string): StoredObject {
    checkObjectKey(key);
    const found = this.#objects.get(key);
    if (found === undefined) throw new GfsError("NotFound", `There is no object ${key}.`, { op: "store.get" });
    return found;
  }

  async head(_ctx: Ctx, key: string): Promise<ObjectInfo> {
    return this.#get(key).info;
  }

  async get(ctx: Ctx, key: string, options?: GetOptions): Promise<ObjectBody> {
    throwIfAborted(ctx, "store.get");
    const { info, bytes } = this.#get(key);
    checkReadCondition(options?.ifMatch, info);
    const { start, end } = spanOf(options?.range, info.sizeBytes);
    return { info, start, end, stream: pieces(ctx, bytes.subarray(start, end)), cancel: () => undefined };
  }

  async stage(_ctx: Ctx, key: string, options: StageOptions = {}): Promise<StagedWrite> {
    checkObjectKey(key);
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let phase: "open" | "sealed" | "ended" = "open";
    let final: { readonly sha256?: string; readonly metadata?: Readonly<Record<string, string>> } = {};
    return {
      write: async (chunk) => {
        if (phase !== "open") throw new GfsError("Internal", `The write to ${key} has ended.`);
        if (options.sizeBytes !== undefined && sizeBytes + chunk.byteLength > options.sizeBytes) throw wrongLength();
        this.#charge(chunk.byteLength);
        sizeBytes += chunk.byteLength;
        chunks.push(Buffer.from(chunk));
      },
      seal: async (last = {}) => {
        if (options.sizeBytes !== undefined && sizeBytes !== options.sizeBytes) throw wrongLength();
        final = last;
        phase = "sealed";
      },
      commit: async (ctx, conditions) => {
        if (phase !== "sealed") throw new GfsError("Internal", `The write to ${key} is not sealed.`);
        throwIfAborted(ctx, "store.commit");
        const metadata = { ...options.metadata, ...final.metadata };
        const info = this.#put(key, Buffer.concat(chunks), { ...options, metadata, sha256: final.sha256 }, conditions);
        phase = "ended";
        return info;
      },
      abort: async () => {
        if (phase !== "ended") this.#usedBytes -= sizeBytes;
        phase = "ended";
      },
    };
  }

  /** The bytes are charged already. */
  #put(
    key: string,
    bytes: Buffer,
    attributes: WriteAttributes & { readonly sha256?: string | undefined },
    conditions?: WriteConditions,
  ): ObjectInfo {
    const before = this.#objects.get(key);
    checkConditions(conditions, before?.info);
    const { contentType, metadata, sha256 } = attributes;
    const info: ObjectInfo = {
      key,
      sizeBytes: bytes.length,
      etag: sha256?.slice(0, 32) ?? randomBytes(16).toString("hex"),
      modifiedMs: this.#clock.nowMs(),
      metadata: metadata ?? {},
      ...(contentType === undefined ? {} : { contentType }),
      ...(sha256 === undefined ? {} : { sha256 }),
    };
    if (before === undefined) this.#sorted = undefined;
    else this.#usedBytes -= before.bytes.length;
    this.#objects.set(key, { info, bytes });
    return info;
  }

  async createMultipart(_ctx: Ctx, key: string, options: MultipartOptions): Promise<MultipartUpload> {
    checkObjectKey(key);
    const uploadId = randomBytes(12).toString("hex");
    this.#uploads.set(uploadId, { key, options, createdMs: this.#clock.nowMs(), parts: new Map() });
    return { key, uploadId };
  }

  #upload({ key, uploadId }: MultipartUpload): Upload {
    const upload = this.#uploads.get(uploadId);
    if (upload?.key !== key)
      throw new GfsError("NotFound", "There is no such upload; it was completed or aborted.", {
        op: "store.multipart",
      });
    return upload;
  }

  async uploadPart(ctx: Ctx, which: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    const upload = this.#upload(which);
    if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > 10_000) {
      throw new GfsError("InvalidArgument", `Parts are numbered 1 to 10,000, not ${partNumber}.`);
    }
    if (upload.options.partSizeBytes !== undefined && body.sizeBytes > upload.options.partSizeBytes) {
      throw new GfsError("TooLarge", `A part of this upload has at most ${upload.options.partSizeBytes} bytes.`);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of body.open()) {
      throwIfAborted(ctx, "store.uploadPart");
      chunks.push(Buffer.from(chunk));
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length !== body.sizeBytes) throw wrongLength();
    this.#charge(bytes.length - (upload.parts.get(partNumber)?.bytes.length ?? 0));
    const info: PartInfo = {
      partNumber,
      sizeBytes: bytes.length,
      etag: createHash("sha256").update(bytes).digest("hex").slice(0, 32),
    };
    upload.parts.set(partNumber, { info, bytes });
    return info;
  }

  async listParts(_ctx: Ctx, which: MultipartUpload): Promise<PartInfo[]> {
    return [...this.#upload(which).parts.values()]
      .map(({ info }) => info)
      .sort((one, other) => one.partNumber - other.partNumber);
  }

  async completeMultipart(
    _ctx: Ctx,
    which: MultipartUpload,
    parts: readonly PartInfo[],
    options: CompleteOptions = {},
  ): Promise<ObjectInfo> {
    const upload = this.#upload(which);
    const { partSizeBytes } = upload.options;
    const bytes: Buffer[] = [];
    for (const [index, part] of parts.entries()) {
      const found = upload.parts.get(part.partNumber);
      const misplaced =
        partSizeBytes === undefined
          ? part.partNumber <= (parts[index - 1]?.partNumber ?? 0)
          : part.partNumber !== index + 1 || (index < parts.length - 1 && found?.info.sizeBytes !== partSizeBytes);
      if (misplaced || found === undefined || found.info.etag !== part.etag) {
        throw new GfsError(
          "InvalidArgument",
          `Part ${part.partNumber} is missing, out of order, of the wrong size, or not the one that arrived.`,
        );
      }
      bytes.push(found.bytes);
    }
    const info = this.#put(
      upload.key,
      Buffer.concat(bytes),
      { ...upload.options, metadata: { ...upload.options.metadata, ...options.metadata } },
      options,
    );
    this.#forget(which.uploadId, info.sizeBytes);
    return info;
  }

  #forget(uploadId: string, keptBytes: number): void {
    const upload = this.#uploads.get(uploadId);
    for (const { bytes } of upload?.parts.values() ?? []) this.#usedBytes -= bytes.length;
    this.#usedBytes += keptBytes;
    this.#uploads.delete(uploadId);
  }

  async abortMultipart(_ctx: Ctx, { uploadId }: MultipartUpload): Promise<void> {
    this.#forget(uploadId, 0);
  }

  async copy(
    _ctx: Ctx,
    from: string,
    to: string,
    options: WriteAttributes & WriteConditions & { readonly sourceIfMatch?: string } = {},
  ): Promise<ObjectInfo> {
    checkObjectKey(to);
    const { info, bytes } = this.#get(from);
    if (options.sourceIfMatch !== undefined && options.sourceIfMatch !== info.etag) {
      throw new GfsError("PreconditionFailed", "The source is another object by now.", { op: "store.copy" });
    }
    checkConditions(options, this.#objects.get(to)?.info);
    this.#charge(bytes.length);
    const contentType = options.contentType ?? info.contentType;
    return this.#put(to, bytes, {
      sha256: info.sha256,
      metadata: options.metadata ?? info.metadata,
      ...(contentType === undefined ? {} : { contentType }),
    });
  }

  async delete(_ctx: Ctx, key: string, options: { readonly ifMatch?: string } = {}): Promise<void> {
    checkObjectKey(key);
    const found = this.#objects.get(key);
    if (found === undefined) return;
    if (options.ifMatch !== undefined) checkConditions({ ifMatch: options.ifMatch }, found.info);
    this.#objects.delete(key);
    this.#usedBytes -= found.bytes.length;
    this.#sorted = undefined;
  }

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
    if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > 1_000) {
      throw new GfsError("InvalidArgument", `A list page has 1 to 1,000 entries, not ${query.limit}.`, {
        op: "store.list",
      });
    }
    this.#sorted ??= [...this.#objects.keys()].sort(compareKeys);
    const sorted = this.#sorted;
    const prefix = query.prefix ?? "";
    const after =
      query.continuation === undefined ? query.after : Buffer.from(query.continuation, "base64url").toString();
    const objects: ObjectInfo[] = [];
    const prefixes: string[] = [];
    let last: string | undefined;
    for (
      let index = lowerBound(sorted, after !== undefined && compareKeys(after, prefix) > 0 ? after : prefix);
      index < sorted.length;
      index++
    ) {
      const key = sorted[index] as string;
      if (!key.startsWith(prefix)) break;
      if (after !== undefined && compareKeys(key, after) <= 0) continue;
      const slash = query.delimiter === undefined ? -1 : key.indexOf("/", prefix.length);
      const rolled = slash === -1 ? undefined : key.slice(0, slash + 1);
      if (rolled !== undefined && (rolled === prefixes.at(-1) || rolled === after)) continue;
      if (objects.length + prefixes.length === query.limit) {
        return { objects, prefixes, continuation: Buffer.from(last as string).toString("base64url") };
      }
      if (rolled === undefined) objects.push((this.#objects.get(key) as StoredObject).info);
      else prefixes.push(rolled);
      last = rolled ?? key;
    }
    return { objects, prefixes };
  }

  async presign(): Promise<string> {
    throw new GfsError(
      "Unsupported",
      "A site in memory has no addresses to hand out; read the object through GlobalFS.",
      { op: "store.presign" },
    );
  }

  async check(): Promise<void> {
    if (this.#usedBytes >= this.#maxBytes)
      throw new GfsError("NoSpace", "The memory site is full; raise its max_bytes.", { op: "store.check" });
  }

  async sweep(_ctx: Ctx, olderThanMs: number, isInUse?: UploadCheck): Promise<number> {
    const oldestKeptMs = this.#clock.nowMs() - olderThanMs;
    let removed = 0;
    for (const [uploadId, upload] of this.#uploads) {
      if (upload.createdMs > oldestKeptMs || (await isInUse?.(uploadId)) === true) continue;
      this.#forget(uploadId, 0);
      removed += 1;
    }
    return removed;
  }

  async close(): Promise<void> {
    this.#objects.clear();
    this.#uploads.clear();
    this.#sorted = [];
    this.#usedBytes = 0;
  }
}

function wrongLength(): GfsError {
  return new GfsError("IncompleteBody", "The body has another length than was announced.", { op: "store.stage" });
}

async function* pieces(ctx: Ctx, bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES) {
    throwIfAborted(ctx, "store.get");
    yield bytes.subarray(offset, Math.min(offset + PIECE_BYTES, bytes.length));
  }
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(sorted[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
