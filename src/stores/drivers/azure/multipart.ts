/**
 * Uploads in parts as uncommitted blocks. Azure has no uploads, only blocks that wait at a name; so a small record among
 * `.globalfs-uploads/` says that an upload is under way and what the object shall carry. The identifier of a block names
 * the upload, the part, the moment, so that a part sent again is another one and the latest counts, and which of the part's
 * blocks it is: only a part whose blocks are all there has arrived. A part without bytes has no block, and is not listed.
 *
 * Blocks of aborted uploads can not be deleted one by one; the service drops them when anything is committed at their
 * name, or after a week.
 */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { BlockBlobClient, ContainerClient } from "@azure/storage-blob";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Random } from "../../../core/ports/random.ts";
import type { ObjectInfo, PartBody, PartInfo, UploadCheck, WriteAttributes, WriteConditions } from "../../store.ts";
import { exactly } from "../remote/part-body.ts";
import { allowManyListeners } from "../remote/shared-signal.ts";
import { azureConditions, azureMetadata, infoOf } from "./attributes.ts";
import { MAX_PARTS, STREAMED_BLOCK_BYTES } from "./config.ts";
import { toAzureError } from "./failures.ts";
import { UPLOADS_DIRECTORY } from "./names.ts";

export interface UploadRecord {
  readonly key: string;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly sha256?: string;
}

export interface BlockEnding {
  readonly id: string;
  readonly key: string;
  readonly parts: readonly PartInfo[];
  readonly attributes: WriteAttributes;
  readonly sha256?: string | undefined;
  readonly conditions?: WriteConditions | undefined;
}

const UPLOAD_ID = /^[0-9a-f]{24}$/;
/** An identifier has room for one digit. */
const MAX_BLOCKS_A_PART = 9;

export class Blocks {
  readonly #container: ContainerClient;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #streamedBlockBytes: number;

  constructor(
    container: ContainerClient,
    prefix: string,
    deps: { readonly clock: Clock; readonly random: Random; readonly streamedBlockBytes?: number },
  ) {
    this.#container = container;
    this.#prefix = prefix;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#streamedBlockBytes = deps.streamedBlockBytes ?? STREAMED_BLOCK_BYTES;
  }

  newId(): string {
    return Buffer.from(this.#random.bytes(12)).toString("hex");
  }

  async writeRecord(ctx: Ctx, id: string, record: UploadRecord): Promise<void> {
    const text = Buffer.from(JSON.stringify(record));
    await this.#call(ctx, "azure.createMultipart", (abortSignal) =>
      this.#recordBlob(id).upload(text, text.byteLength, { abortSignal }),
    );
  }

  /** `NotFound` when the upload was completed or aborted, or never was. */
  async readRecord(ctx: Ctx, id: string): Promise<UploadRecord> {
    if (!UPLOAD_ID.test(id)) throw noUpload();
    try {
      const text = await this.#call(ctx, "azure.upload", (abortSignal) =>
        this.#recordBlob(id).downloadToBuffer(0, undefined, { abortSignal }),
      );
      return JSON.parse(text.toString()) as UploadRecord;
    } catch (error) {
      if (isGfsError(error, "NotFound")) throw noUpload();
      throw error;
    }
  }

  async deleteRecord(ctx: Ctx, id: string): Promise<void> {
    if (!UPLOAD_ID.test(id)) return;
    await this.#call(ctx, "azure.upload", (abortSignal) => this.#recordBlob(id).deleteIfExists({ abortSignal }));
  }

  /** Removes records of uploads that began before; resolves with how many. */
  async sweep(ctx: Ctx, beforeMs: number, isInUse?: UploadCheck): Promise<number> {
    let removed = 0;
    const prefix = `${this.#prefix}${UPLOADS_DIRECTORY}/`;
    const found = this.#container.listBlobsFlat({ prefix, abortSignal: allowManyListeners(ctx.signal) });
    try {
      for await (const blob of found) {
        if (!(blob.properties.lastModified.getTime() < beforeMs)) continue;
        if ((await isInUse?.(blob.name.slice(prefix.length))) === true) continue;
        await this.#container.getBlobClient(blob.name).deleteIfExists({ abortSignal: ctx.signal });
        removed += 1;
      }
    } catch (error) {
      throw toAzureError(error, "azure.sweep", ctx.signal);
    }
    return removed;
  }

  /** A part in memory; the service checks its MD5. */
  async sendBytes(
    ctx: Ctx,
    blob: BlockBlobClient,
    part: { readonly id: string; readonly partNumber: number; readonly bytes: Uint8Array },
  ): Promise<PartInfo> {
    const { bytes, partNumber } = part;
    const etag = this.#stamp(bytes.byteLength === 0 ? 0 : 1);
    if (bytes.byteLength === 0) return { partNumber, sizeBytes: 0, etag };
    const transactionalContentMD5 = createHash("md5").update(bytes).digest();
    await this.#call(ctx, "azure.uploadPart", (abortSignal) =>
      blob.stageBlock(blockId(part.id, { partNumber, etag, index: 0 }), bytes, bytes.byteLength, {
        abortSignal,
        transactionalContentMD5,
      }),
    );
    return { partNumber, sizeBytes: bytes.byteLength, etag };
  }

  /** As blocks that are not held in memory, one after the other, since the body comes in that order. */
  async sendStream(
    ctx: Ctx,
    blob: BlockBlobClient,
    part: { readonly id: string; readonly partNumber: number; readonly body: PartBody },
  ): Promise<PartInfo> {
    const { body, partNumber, id } = part;
    const { sizeBytes } = body;
    const count = Math.ceil(sizeBytes / this.#streamedBlockBytes);
    if (count > MAX_BLOCKS_A_PART) {
      throw new GfsError("TooLarge", `A part may have ${MAX_BLOCKS_A_PART * this.#streamedBlockBytes} bytes.`, {
        op: "azure.uploadPart",
      });
    }
    const etag = this.#stamp(count);
    const source = new PieceReader(exactly(body));
    try {
      for (let index = 0; index < count; index++) {
        const size = Math.min(this.#streamedBlockBytes, sizeBytes - index * this.#streamedBlockBytes);
        // The last block must not arrive when the body turns out longer than it was announced.
        const bytes = index === count - 1 ? source.rest() : source.piece(size);
        await this.#sendBlock(ctx, blob, { blockId: blockId(id, { partNumber, etag, index }), bytes, size });
      }
    } finally {
      await source.close();
    }
    return { partNumber, sizeBytes, etag };
  }

  /** The SDK does not listen for a body that fails, so that one ends the request, and is what the caller hears. */
  async #sendBlock(
    ctx: Ctx,
    blob: BlockBlobClient,
    block: { readonly blockId: string; readonly bytes: AsyncIterable<Uint8Array>; readonly size: number },
  ): Promise<void> {
    const stop = new AbortController();
    let failure: { readonly error: unknown } | undefined;
    const body = Readable.from(block.bytes, { objectMode: false });
    body.on("error", (error) => {
      failure ??= { error };
      stop.abort();
    });
    try {
      await this.#call(ctx, "azure.uploadPart", () =>
        blob.stageBlock(block.blockId, () => body, block.size, {
          abortSignal: AbortSignal.any([ctx.signal, stop.signal]),
        }),
      );
    } catch (error) {
      throw failure === undefined ? error : toGfsError(failure.error, "azure.uploadPart");
    } finally {
      body.destroy();
    }
  }

  async list(ctx: Ctx, blob: BlockBlobClient, id: string): Promise<PartInfo[]> {
    const sent = new Map<string, { partNumber: number; etag: string; sizeBytes: number; blocks: number }>();
    for (const { name, size } of await this.#listBlocks(ctx, blob, "uncommitted")) {
      const block = blockOf(name, id);
      if (block === undefined) continue;
      const { partNumber, etag } = block;
      const part = sent.get(`${partNumber}.${etag}`) ?? { partNumber, etag, sizeBytes: 0, blocks: 0 };
      sent.set(`${partNumber}.${etag}`, { ...part, sizeBytes: part.sizeBytes + size, blocks: part.blocks + 1 });
    }
    const latest = new Map<number, PartInfo>();
    for (const { partNumber, etag, sizeBytes, blocks } of sent.values()) {
      if (blocks !== blockCountOf(etag)) continue;
      const known = latest.get(partNumber);
      if (known === undefined || known.etag < etag) latest.set(partNumber, { partNumber, etag, sizeBytes });
    }
    return [...latest.values()].sort((one, other) => one.partNumber - other.partNumber);
  }

  async commit(ctx: Ctx, blob: BlockBlobClient, ending: BlockEnding): Promise<ObjectInfo> {
    const { attributes, parts, key, id } = ending;
    const ids = parts.flatMap(({ partNumber, etag }) =>
      Array.from({ length: blockCountOf(etag) }, (_, index) => blockId(id, { partNumber, etag, index })),
    );
    const metadata = azureMetadata(attributes, ending.sha256);
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const { contentType } = attributes;
    try {
      const done = await this.#call(ctx, "azure.completeMultipart", (abortSignal) =>
        blob.commitBlockList(ids, {
          abortSignal,
          conditions: azureConditions(ending.conditions),
          metadata,
          ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
        }),
      );
      return infoOf(key, sizeBytes, { ...done, contentType, metadata });
    } catch (error) {
      if (isGfsError(error, "NotFound") && ending.conditions?.ifMatch !== undefined) {
        throw new GfsError("PreconditionFailed", "The object is not there any more.", {
          op: "azure.completeMultipart",
          cause: error,
        });
      }
      if (!isGfsError(error, "Conflict", "PreconditionFailed")) throw error;
      // The answer to an earlier commit may have been lost; then these very blocks make the object.
      const committed = await this.#listBlocks(ctx, blob, "committed");
      const ours = committed.length === ids.length && committed.every(({ name }, index) => name === ids[index]);
      if (!ours) throw error;
      const facts = await this.#call(ctx, "azure.head", (abortSignal) => blob.getProperties({ abortSignal }));
      return infoOf(key, sizeBytes, facts);
    }
  }

  async #listBlocks(
    ctx: Ctx,
    blob: BlockBlobClient,
    which: "committed" | "uncommitted",
  ): Promise<{ name: string; size: number }[]> {
    try {
      const found = await this.#call(ctx, "azure.listParts", (abortSignal) =>
        blob.getBlockList(which, { abortSignal }),
      );
      return (which === "committed" ? found.committedBlocks : found.uncommittedBlocks) ?? [];
    } catch (error) {
      if (isGfsError(error, "NotFound")) return [];
      throw error;
    }
  }

  async #call<T>(ctx: Ctx, op: string, work: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await work(allowManyListeners(ctx.signal));
    } catch (error) {
      throw toAzureError(error, op, ctx.signal);
    }
  }

  /** Later ones sort after earlier ones; of equal length always. The last digit is how many blocks there are. */
  #stamp(blocks: number): string {
    const time = Math.floor(this.#clock.nowMs()).toString(16).padStart(12, "0");
    return `${time}${Buffer.from(this.#random.bytes(4)).toString("hex")}${blocks}`;
  }

  #recordBlob(id: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(`${this.#prefix}${UPLOADS_DIRECTORY}/${id}`);
  }
}

export function checkPartNumber(partNumber: number): void {
  if (Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= MAX_PARTS) return;
  throw new GfsError("InvalidArgument", `Parts are numbered from 1 to ${MAX_PARTS}, not ${partNumber}.`, {
    op: "azure.uploadPart",
  });
}

interface BlockName {
  readonly partNumber: number;
  readonly etag: string;
  /** Which of the part's blocks it is. */
  readonly index: number;
}

/** All identifiers of one blob must have the same length. */
function blockId(id: string, { partNumber, etag, index }: BlockName): string {
  return Buffer.from(`${id}.${String(partNumber).padStart(5, "0")}.${etag}.${index}`).toString("base64");
}

function blockOf(name: string, id: string): BlockName | undefined {
  const [owner, partNumber, etag, index] = Buffer.from(name, "base64").toString().split(".");
  if (owner !== id || partNumber === undefined || etag === undefined || index === undefined) return undefined;
  return { partNumber: Number(partNumber), etag, index: Number(index) };
}

function blockCountOf(etag: string): number {
  return Number(etag.at(-1));
}

/** Takes a stream apart into pieces that are read one after the other. */
class PieceReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async *piece(sizeBytes: number): AsyncGenerator<Uint8Array> {
    let wanted = sizeBytes;
    while (wanted > 0) {
      const chunk = await this.#next();
      if (chunk === undefined) return;
      this.#left = chunk.subarray(wanted);
      const taken = chunk.subarray(0, wanted);
      wanted -= taken.byteLength;
      yield taken;
    }
  }

  async *rest(): AsyncGenerator<Uint8Array> {
    for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) yield chunk;
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#left.byteLength > 0) {
      const left = this.#left;
      this.#left = new Uint8Array(0);
      return left;
    }
    const next = await this.#source.next();
    return next.done === true ? undefined : next.value;
  }
}

function noUpload(): GfsError {
  return new GfsError("NotFound", "The upload was completed or aborted.", { op: "azure.upload" });
}
