/**
 * A write in two steps to a site that takes objects whole or in parts. What fits one part stays in memory until `commit`
 * sends it in one request, together with the conditions; what does not goes up in parts meanwhile, and `commit` completes
 * the upload. No site offers a way to keep a small object durable and out of sight for less than several requests more, so
 * `seal` of a small one only checks it.
 *
 * Memory: one part for each write, always, so that writes never wait for one another; further parts, those under way,
 * only as far as the budget that all writes share reaches.
 */
import type { Semaphore } from "../../../core/async/semaphore.ts";
import { backgroundCtx, type Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../../core/errors.ts";
import type {
  CommitOptions,
  ObjectInfo,
  PartInfo,
  StagedWrite,
  StageOptions,
  WriteAttributes,
  WriteConditions,
} from "../../store.ts";
import { sha256Hex } from "./payload-hash.ts";
import { type RepeatDeps, repeatSafely } from "./repeat.ts";
import { allowManyListeners } from "./shared-signal.ts";

export interface WholeBody {
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly attributes: WriteAttributes;
  /** Another key than the write was begun for. */
  readonly as?: string | undefined;
  readonly conditions?: WriteConditions | undefined;
  /** An earlier commit failed without an answer and may have worked: its object may be what the conditions meet. */
  readonly maybeWritten: boolean;
}

export interface PartedEnding {
  /** In order. */
  readonly parts: readonly PartInfo[];
  /** With those that came at the end, for sites that take them now. */
  readonly attributes: WriteAttributes;
  readonly sha256?: string | undefined;
  readonly conditions?: WriteConditions | undefined;
}

/** What one site does for one write. */
export interface PartedTarget<Upload> {
  /** Throws on attributes that the site can not keep. */
  checkAttributes(attributes: WriteAttributes): void;
  put(ctx: Ctx, body: WholeBody): Promise<ObjectInfo>;
  begin(ctx: Ctx, attributes: WriteAttributes): Promise<Upload>;
  sendPart(
    ctx: Ctx,
    upload: Upload,
    part: { readonly partNumber: number; readonly bytes: Uint8Array },
  ): Promise<PartInfo>;
  complete(ctx: Ctx, upload: Upload, ending: PartedEnding): Promise<ObjectInfo>;
  discard(ctx: Ctx, upload: Upload): Promise<void>;
}

export interface PartLimits extends RepeatDeps {
  readonly budget: Semaphore;
  readonly partSizeBytes: number;
  readonly parallelParts: number;
  readonly maxPartBytes: number;
  readonly maxParts: number;
  readonly maxObjectBytes: number;
}

interface PartBuffer {
  bytes: Buffer;
  filled: number;
  readonly capacity: number;
  readonly release: () => void;
}

type Phase = "open" | "sealed" | "committed" | "aborted";

const MIB = 1024 * 1024;
const FIRST_BUFFER_BYTES = 64 * 1024;
/** Parts of a write whose size is not known double after each so many of them: 10,000 then hold the largest object. */
const PARTS_OF_ONE_SIZE = 1_000;

export class PartedWrite<Upload> implements StagedWrite {
  readonly #target: PartedTarget<Upload>;
  readonly #limits: PartLimits;
  readonly #options: StageOptions;
  readonly #ctx: Ctx;
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  readonly #underWay = new Set<Promise<void>>();
  readonly #arrived: PartInfo[] = [];
  #phase: Phase = "open";
  #failure: GfsError | undefined;
  #sizeBytes = 0;
  #sentParts = 0;
  #ownBufferTaken = false;
  #buffer: PartBuffer | undefined;
  #upload: Upload | undefined;
  #metadata: Readonly<Record<string, string>> | undefined;
  #sha256: string | undefined;
  /** An earlier commit may have worked although it failed: its answer never came. */
  #commitUncertain = false;

  constructor(ctx: Ctx, target: PartedTarget<Upload>, limits: PartLimits, options: StageOptions) {
    if ((options.sizeBytes ?? 0) > limits.maxObjectBytes) throw tooLarge(limits.maxObjectBytes);
    target.checkAttributes(options);
    // Not AbortSignal.any: a signal that outlives many writes would remember each of them.
    const onAbort = (): void => this.#stop.abort(ctx.signal.reason);
    if (ctx.signal.aborted) onAbort();
    else allowManyListeners(ctx.signal).addEventListener("abort", onAbort, { once: true });
    this.#unlink = () => ctx.signal.removeEventListener("abort", onAbort);
    this.#ctx = { ...ctx, signal: this.#stop.signal };
    this.#target = target;
    this.#limits = limits;
    this.#options = options;
    this.#metadata = options.metadata;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#expect("open");
    if (this.#sizeBytes + chunk.byteLength > (this.#options.sizeBytes ?? this.#limits.maxObjectBytes))
      throw this.#wrongLength();
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
      this.#sha256 = final.sha256;
    } else {
      this.#sha256 = await sha256Hex(this.#content());
      if (final.sha256 !== undefined && final.sha256 !== this.#sha256) {
        throw new GfsError("ChecksumMismatch", "The bytes do not have the SHA-256 that was announced.", {
          op: "store.seal",
        });
      }
    }
    if (final.metadata !== undefined) this.#metadata = { ...this.#metadata, ...final.metadata };
    // Refuses metadata that can not be kept while the other sites can still turn back.
    this.#target.checkAttributes(this.#attributes());
    this.#phase = "sealed";
  }

  async commit(ctx: Ctx, options: CommitOptions = {}): Promise<ObjectInfo> {
    this.#expect("sealed");
    if (options.as !== undefined && this.#upload !== undefined) throw immovable();
    const info = await repeatSafely(ctx, this.#limits, () => this.#attempt(ctx, options));
    this.#phase = "committed";
    this.#unlink();
    this.#releaseBuffer();
    return info;
  }

  async abort(): Promise<void> {
    if (this.#phase === "committed") return;
    this.#phase = "aborted";
    this.#unlink();
    this.#stop.abort(new GfsError("Canceled", "The write was given up.", { op: "store.abort" }));
    // A part that arrives after the abort would stay.
    await Promise.all(this.#underWay);
    this.#releaseBuffer();
    const upload = this.#upload;
    if (upload === undefined) return;
    await this.#target.discard(backgroundCtx({ requestId: this.#ctx.requestId, log: this.#ctx.log }), upload);
    this.#upload = undefined;
  }

  #attributes(): WriteAttributes {
    const { contentType } = this.#options;
    return {
      ...(contentType === undefined ? {} : { contentType }),
      ...(this.#metadata === undefined ? {} : { metadata: this.#metadata }),
    };
  }

  #content(): Buffer {
    return this.#buffer === undefined ? Buffer.alloc(0) : this.#buffer.bytes.subarray(0, this.#buffer.filled);
  }

  async #attempt(ctx: Ctx, options: CommitOptions): Promise<ObjectInfo> {
    try {
      return await this.#finish(ctx, options);
    } catch (error) {
      this.#commitUncertain ||=
        !isGfsError(error) || isGfsError(error, "Unavailable", "Timeout", "Canceled", "Internal");
      throw error;
    }
  }

  #finish(ctx: Ctx, { as, ...conditions }: CommitOptions): Promise<ObjectInfo> {
    const attributes = this.#attributes();
    if (this.#upload === undefined) {
      const whole = { bytes: this.#content(), sha256: this.#sha256 as string, attributes, as, conditions };
      return this.#target.put(ctx, { ...whole, maybeWritten: this.#commitUncertain });
    }
    const parts = this.#arrived.toSorted((one, other) => one.partNumber - other.partNumber);
    return this.#target.complete(ctx, this.#upload, { parts, attributes, sha256: this.#sha256, conditions });
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
      const release = this.#limits.budget.tryAcquire(capacity);
      if (release !== undefined) return emptyBuffer(capacity, this.#options.sizeBytes, release);
      await Promise.race(this.#underWay);
    }
  }

  #nextPartBytes(): number {
    const { partSizeBytes, maxParts, maxPartBytes } = this.#limits;
    const known = this.#options.sizeBytes;
    if (known !== undefined) return Math.max(partSizeBytes, Math.ceil(known / maxParts / MIB) * MIB);
    return Math.min(maxPartBytes, partSizeBytes * 2 ** Math.floor(this.#sentParts / PARTS_OF_ONE_SIZE));
  }

  /** Resolves as soon as the part is on its way. */
  async #sendBuffer(buffer: PartBuffer): Promise<void> {
    const { parallelParts } = this.#limits;
    this.#upload ??= await repeatSafely(this.#ctx, this.#limits, () =>
      this.#target.begin(this.#ctx, this.#attributes()),
    );
    const upload = this.#upload;
    while (this.#underWay.size >= parallelParts) await Promise.race(this.#underWay);
    this.#expect("open");
    this.#buffer = undefined;
    this.#sentParts += 1;
    const partNumber = this.#sentParts;
    const bytes = buffer.bytes.subarray(0, buffer.filled);
    const sending: Promise<void> = repeatSafely(this.#ctx, this.#limits, () =>
      this.#target.sendPart(this.#ctx, upload, { partNumber, bytes }),
    )
      .then(
        (part) => void this.#arrived.push(part),
        (error: unknown) => {
          this.#failure ??= toGfsError(error, "store.write");
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
    throw new GfsError("Internal", `The write is ${this.#phase}, not ${phase}.`, { op: "store.stage" });
  }

  #wrongLength(): GfsError {
    const announced = this.#options.sizeBytes;
    if (announced === undefined) return tooLarge(this.#limits.maxObjectBytes);
    return new GfsError("IncompleteBody", `The object was announced with ${announced} bytes and has another length.`, {
      op: "store.write",
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

function immovable(): GfsError {
  return new GfsError("Unsupported", "What went to the site in parts cannot be given another key.", {
    op: "store.commit",
  });
}

function tooLarge(maxObjectBytes: number): GfsError {
  return new GfsError("TooLarge", `The site keeps objects of up to ${maxObjectBytes} bytes.`, { op: "store.write" });
}
