/**
 * Uploads in parts as uncommitted blocks. Azure has no uploads, only blocks that wait at a name; so a small record among
 * `.globalfs-uploads/` says that an upload is under way and what the object shall carry. The identifier of a block names
 * the upload, the part and the moment, so that a part sent again is another block and the latest one counts.
 *
 * Blocks of aborted uploads can not be deleted one by one; the service drops them when anything is committed at their
 * name, or after a week.
 */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { BlockBlobClient, ContainerClient } from "@azure/storage-blob";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Random } from "../../../core/ports/random.ts";
import type { ObjectInfo, PartBody, PartInfo, UploadCheck, WriteAttributes, WriteConditions } from "../../store.ts";
import { allowManyListeners } from "../shared-signal.ts";
import { azureConditions, azureMetadata, infoOf } from "./attributes.ts";
import { MAX_PARTS } from "./config.ts";
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
const BUFFERED_PART_BYTES = 8 * 1024 * 1024;

export class Blocks {
  readonly #container: ContainerClient;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(container: ContainerClient, prefix: string, deps: { readonly clock: Clock; readonly random: Random }) {
    this.#container = container;
    this.#prefix = prefix;
    this.#clock = deps.clock;
    this.#random = deps.random;
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
    const etag = this.#stamp();
    const transactionalContentMD5 = createHash("md5").update(bytes).digest();
    await this.#call(ctx, "azure.uploadPart", (abortSignal) =>
      blob.stageBlock(blockId(part.id, partNumber, etag), bytes, bytes.byteLength, {
        abortSignal,
        transactionalContentMD5,
      }),
    );
    return { partNumber, sizeBytes: bytes.byteLength, etag };
  }

  async sendBody(
    ctx: Ctx,
    blob: BlockBlobClient,
    part: { readonly id: string; readonly partNumber: number; readonly body: PartBody },
  ): Promise<PartInfo> {
    const { body, partNumber, id } = part;
    if (!(Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= MAX_PARTS)) {
      throw new GfsError("InvalidArgument", `Parts are numbered from 1 to ${MAX_PARTS}, not ${partNumber}.`, {
        op: "azure.uploadPart",
      });
    }
    if (body.sizeBytes <= BUFFERED_PART_BYTES)
      return this.sendBytes(ctx, blob, { id, partNumber, bytes: await collect(body) });
    const etag = this.#stamp();
    await this.#call(ctx, "azure.uploadPart", (abortSignal) =>
      blob.stageBlock(
        blockId(id, partNumber, etag),
        () => Readable.from(exactly(body), { objectMode: false }),
        body.sizeBytes,
        { abortSignal },
      ),
    );
    return { partNumber, sizeBytes: body.sizeBytes, etag };
  }

  async list(ctx: Ctx, blob: BlockBlobClient, id: string): Promise<PartInfo[]> {
    const latest = new Map<number, PartInfo>();
    for (const { name, size } of await this.#listBlocks(ctx, blob, "uncommitted")) {
      const part = partOf(name, id, size);
      const known = part && latest.get(part.partNumber);
      if (part !== undefined && (known === undefined || known.etag < part.etag)) latest.set(part.partNumber, part);
    }
    return [...latest.values()].sort((one, other) => one.partNumber - other.partNumber);
  }

  async commit(ctx: Ctx, blob: BlockBlobClient, ending: BlockEnding): Promise<ObjectInfo> {
    const { attributes, parts, key, id } = ending;
    const ids = parts.map(({ partNumber, etag }) => blockId(id, partNumber, etag));
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

  /** Later ones sort after earlier ones; of equal length always. */
  #stamp(): string {
    const time = Math.floor(this.#clock.nowMs()).toString(16).padStart(12, "0");
    return time + Buffer.from(this.#random.bytes(4)).toString("hex");
  }

  #recordBlob(id: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(`${this.#prefix}${UPLOADS_DIRECTORY}/${id}`);
  }
}

/** All identifiers of one blob must have the same length. */
function blockId(id: string, partNumber: number, etag: string): string {
  return Buffer.from(`${id}.${String(partNumber).padStart(5, "0")}.${etag}`).toString("base64");
}

function partOf(name: string, id: string, sizeBytes: number): PartInfo | undefined {
  const [owner, partNumber, etag] = Buffer.from(name, "base64").toString().split(".");
  if (owner !== id || partNumber === undefined || etag === undefined) return undefined;
  return { partNumber: Number(partNumber), sizeBytes, etag };
}

async function collect(body: PartBody): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of exactly(body)) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

async function* exactly(body: PartBody): AsyncGenerator<Uint8Array> {
  let seenBytes = 0;
  for await (const chunk of body.open()) {
    seenBytes += chunk.byteLength;
    if (seenBytes > body.sizeBytes) break;
    yield chunk;
  }
  if (seenBytes !== body.sizeBytes) {
    throw new GfsError(
      "IncompleteBody",
      `The part was announced with ${body.sizeBytes} bytes and had another length.`,
      { op: "azure.uploadPart" },
    );
  }
}

function noUpload(): GfsError {
  return new GfsError("NotFound", "The upload was completed or aborted.", { op: "azure.upload" });
}
