/**
 * A write to S3 in two steps. What fits one part stays in memory until `commit` sends it in one request, together with the
 * conditions; what does not goes up in parts meanwhile, and `commit` completes the upload. S3 offers nothing that would keep
 * a small object durable and out of sight for less than three requests more, so `seal` of a small one only checks it.
 *
 * Memory: one part for each write, always, so that writes never wait for one another; further parts, those under way,
 * only as far as the budget that all writes share reaches.
 */
import { createHash } from "node:crypto";
import type { Semaphore } from "../../../core/async/semaphore.ts";
import { backgroundCtx, type Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { ObjectInfo, PartInfo, StagedWrite, StageOptions, WriteConditions } from "../../store.ts";
import type { S3Client } from "./client.ts";
import { MAX_OBJECT_BYTES, MAX_PART_BYTES, MAX_PARTS, MIB } from "./config.ts";
import { abortUpload, attributeHeaders, completeUpload, createUpload, type FullUpload, sendPart } from "./multipart.ts";
import { sha256Hex } from "./payload-hash.ts";
import { headOrUndefined, putWhole } from "./putting.ts";

export interface StagedParts {
  readonly client: S3Client;
  readonly budget: Semaphore;
  readonly partSizeBytes: number;
  readonly parallelParts: number;
}

interface PartBuffer {
  bytes: Buffer;
  filled: number;
  readonly capacity: number;
  readonly release: () => void;
}

type Phase = "open" | "sealed" | "committed" | "aborted";

const FIRST_BUFFER_BYTES = 64 * 1024;
/** Parts of a write whose size is not known double after each so many of them: 10,000 then hold the largest object. */
const PARTS_OF_ONE_SIZE = 1_000;

export class S3StagedWrite implements StagedWrite {
  readonly #parts: StagedParts;
  readonly #keys: { readonly key: string; readonly fullKey: string };
  readonly #options: StageOptions;
  readonly #ctx: Ctx;
  readonly #stop = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #arrived: PartInfo[] = [];
  #phase: Phase = "open";
  #failure: GfsError | undefined;
  #sizeBytes = 0;
  #sentParts = 0;
  #ownBufferTaken = false;
  #buffer: PartBuffer | undefined;
  #upload: FullUpload | undefined;
  #metadata: Readonly<Record<string, string>> | undefined;
  #sha256: string | undefined;
  /** An earlier commit may have worked although it failed: its answer never came. */
  #commitUncertain = false;

  constructor(
    ctx: Ctx,
    keys: { readonly key: string; readonly fullKey: string },
    parts: StagedParts,
    options: StageOptions,
  ) {
    this.#ctx = { ...ctx, signal: AbortSignal.any([ctx.signal, this.#stop.signal]) };
    this.#keys = keys;
    this.#parts = parts;
    this.#options = options;
    this.#metadata = options.metadata;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#expect("open");
    if (this.#sizeBytes + chunk.byteLength > (this.#options.sizeBytes ?? MAX_OBJECT_BYTES)) throw this.#wrongLength();
    let taken = 0;
    while (taken < chunk.byteLength) {
      const buffer = await this.#roomyBuffer();
      const step = Math.min(chunk.byteLength - taken, buffer.capacity - buffer.filled);
      append(buffer, chunk.subarray(taken, taken + step));
      taken += step;
      this.#sizeBytes += step;
    }
  }

  async seal(
    final: { readonly sha256?: string; readonly metadata?: Readonly<Record<string, string>> } = {},
  ): Promise<void> {
    this.#expect("open");
    const expected = this.#options.sizeBytes;
    if (expected !== undefined && expected !== this.#sizeBytes) throw this.#wrongLength();
    if (this.#upload !== undefined) {
      if (this.#buffer !== undefined) await this.#sendBuffer(this.#buffer);
      await Promise.all(this.#underWay);
      if (this.#failure !== undefined) throw this.#failure;
    } else {
      this.#sha256 = await sha256Hex(this.#content());
      if (final.sha256 !== undefined && final.sha256 !== this.#sha256) {
        throw new GfsError("ChecksumMismatch", "The bytes do not have the SHA-256 that was announced.", {
          op: "s3.seal",
        });
      }
      if (final.metadata !== undefined) this.#metadata = { ...this.#metadata, ...final.metadata };
      // Refuses metadata that can not be kept while the other sites can still turn back.
      attributeHeaders(this.#attributes(), this.#sha256);
    }
    this.#phase = "sealed";
  }

  async commit(ctx: Ctx, conditions?: WriteConditions): Promise<ObjectInfo> {
    this.#expect("sealed");
    try {
      const info =
        this.#upload === undefined
          ? await this.#put(ctx, conditions)
          : await this.#complete(ctx, this.#upload, conditions);
      this.#phase = "committed";
      this.#releaseBuffer();
      return info;
    } catch (error) {
      this.#commitUncertain ||=
        !isGfsError(error) || isGfsError(error, "Unavailable", "Timeout", "Canceled", "Internal");
      throw error;
    }
  }

  async abort(): Promise<void> {
    if (this.#phase === "committed") return;
    this.#phase = "aborted";
    this.#stop.abort(new GfsError("Canceled", "The write was given up.", { op: "s3.abort" }));
    // A part that arrives after the abort would stay.
    await Promise.all(this.#underWay);
    this.#releaseBuffer();
    const upload = this.#upload;
    if (upload === undefined) return;
    await abortUpload(
      this.#parts.client,
      backgroundCtx({ requestId: this.#ctx.requestId, log: this.#ctx.log }),
      upload,
    );
    this.#upload = undefined;
  }

  #attributes(): StageOptions {
    return this.#metadata === undefined ? this.#options : { ...this.#options, metadata: this.#metadata };
  }

  #content(): Buffer {
    return this.#buffer === undefined ? Buffer.alloc(0) : this.#buffer.bytes.subarray(0, this.#buffer.filled);
  }

  async #put(ctx: Ctx, conditions: WriteConditions | undefined): Promise<ObjectInfo> {
    const { client } = this.#parts;
    const sha256 = this.#sha256 as string;
    const bytes = this.#content();
    try {
      return await putWhole(client, ctx, { ...this.#keys, bytes, sha256, attributes: this.#attributes(), conditions });
    } catch (error) {
      // What a commit that seemed to fail wrote may be what stands in the way now.
      if (!this.#commitUncertain || !isGfsError(error, "PreconditionFailed")) throw error;
      const landed = await headOrUndefined(client, ctx, this.#keys);
      const ours = landed?.sha256 === sha256 && landed.etag === createHash("md5").update(bytes).digest("hex");
      if (!ours) throw error;
      return landed;
    }
  }

  #complete(ctx: Ctx, upload: FullUpload, conditions: WriteConditions | undefined): Promise<ObjectInfo> {
    const parts = this.#arrived.toSorted((one, other) => one.partNumber - other.partNumber);
    return completeUpload(this.#parts.client, ctx, upload, { parts, conditions });
  }

  /** A buffer with room for a byte at least. Sends the full one off only now, so that a single full part stays one PUT. */
  async #roomyBuffer(): Promise<PartBuffer> {
    const current = this.#buffer;
    if (current !== undefined && current.filled < current.capacity) return current;
    if (current !== undefined) await this.#sendBuffer(current);
    const buffer = await this.#newBuffer();
    this.#buffer = buffer;
    return buffer;
  }

  async #newBuffer(): Promise<PartBuffer> {
    const capacity = this.#nextPartBytes();
    for (;;) {
      this.#expect("open");
      if (!this.#ownBufferTaken) {
        this.#ownBufferTaken = true;
        return emptyBuffer(capacity, this.#options.sizeBytes, () => (this.#ownBufferTaken = false));
      }
      const release = this.#parts.budget.tryAcquire(capacity);
      if (release !== undefined) return emptyBuffer(capacity, this.#options.sizeBytes, release);
      await Promise.race(this.#underWay);
    }
  }

  #nextPartBytes(): number {
    const { partSizeBytes } = this.#parts;
    const known = this.#options.sizeBytes;
    if (known !== undefined) return Math.max(partSizeBytes, Math.ceil(known / MAX_PARTS / MIB) * MIB);
    return Math.min(MAX_PART_BYTES, partSizeBytes * 2 ** Math.floor(this.#sentParts / PARTS_OF_ONE_SIZE));
  }

  /** Resolves as soon as the part is on its way. */
  async #sendBuffer(buffer: PartBuffer): Promise<void> {
    const { client, parallelParts } = this.#parts;
    if (this.#upload === undefined) this.#upload = await createUpload(client, this.#ctx, this.#keys, this.#options);
    const upload = this.#upload;
    while (this.#underWay.size >= parallelParts) await Promise.race(this.#underWay);
    this.#expect("open");
    this.#buffer = undefined;
    this.#sentParts += 1;
    const partNumber = this.#sentParts;
    const sending: Promise<void> = sendPart(client, this.#ctx, upload, {
      partNumber,
      bytes: buffer.bytes.subarray(0, buffer.filled),
    })
      .then(
        (part) => void this.#arrived.push(part),
        (error: GfsError) => {
          this.#failure ??= error;
        },
      )
      .finally(() => {
        buffer.release();
        this.#underWay.delete(sending);
      });
    this.#underWay.add(sending);
  }

  #releaseBuffer(): void {
    this.#buffer?.release();
    this.#buffer = undefined;
  }

  #expect(phase: Phase): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#phase === phase) return;
    throw new GfsError("Internal", `The write is ${this.#phase}, not ${phase}.`, { op: "s3.stage" });
  }

  #wrongLength(): GfsError {
    const announced = this.#options.sizeBytes;
    if (announced === undefined)
      return new GfsError("TooLarge", "S3 keeps objects of up to 5 TiB.", { op: "s3.write" });
    return new GfsError("IncompleteBody", `The object was announced with ${announced} bytes and has another length.`, {
      op: "s3.write",
    });
  }
}

function emptyBuffer(capacity: number, sizeBytes: number | undefined, release: () => void): PartBuffer {
  const firstBytes = sizeBytes === undefined ? FIRST_BUFFER_BYTES : sizeBytes;
  return { bytes: Buffer.allocUnsafeSlow(Math.min(capacity, firstBytes)), filled: 0, capacity, release };
}

function append(buffer: PartBuffer, chunk: Uint8Array): void {
  const needed = buffer.filled + chunk.byteLength;
  if (needed > buffer.bytes.byteLength) {
    const grown = Buffer.allocUnsafeSlow(Math.min(buffer.capacity, Math.max(needed, buffer.bytes.byteLength * 2)));
    grown.set(buffer.bytes.subarray(0, buffer.filled));
    buffer.bytes = grown;
  }
  buffer.bytes.set(chunk, buffer.filled);
  buffer.filled = needed;
}
