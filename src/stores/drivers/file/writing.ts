import { randomBytes } from "node:crypto";
import { giveBack, PieceShare } from "../../../core/async/piece-share.ts";
import type { Ctx } from "../../../core/context.ts";
import { throwIfAborted } from "../../../core/context.ts";
import { fromErrno, GfsError } from "../../../core/errors.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import type { CommitOptions, ObjectInfo, StagedWrite, StageOptions, WriteConditions } from "../../store.ts";
import { checkObjectKey } from "../../object-key.ts";
import { errnoOf } from "./failures.ts";
import { instanceOf } from "./intake/instance.ts";
import type { Layout } from "./layout.ts";
import { ATTRIBUTE, type Attributes, describeObject, encodeRecord, makeRecord } from "./object-record.ts";

/** Chunks are gathered into pieces of this size; one is on its way to the disk while the other fills. */
const pieces = new PieceShare({ totalBytes: 4 * 1024 ** 2, leastBytes: 64 * 1024, mostBytes: 256 * 1024 });
const FIRST_PIECE_BYTES = 64 * 1024;

const processName = randomBytes(9).toString("hex");
let staged = 0;

/** No other process, past or present, has the same. */
export function nextStagingName(): string {
  staged += 1;
  return `${processName}-${staged}`;
}

/** A finished file that has no place yet. A rename does not change what is known of it. */
export interface SealedFile {
  readonly path: string;
  readonly info: ObjectInfo;
  /** Of one that was not flushed: what makes it again. */
  readonly small?: SmallContent;
  /** Its place need not outlive a loss of power: somebody sees to that later. */
  readonly flushedLater?: boolean;
}

export interface SmallContent {
  /** See `instanceOf`. */
  readonly file: string;
  readonly modifiedNs: string;
  readonly attribute: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface StagingPlace {
  readonly disk: Disk;
  readonly layout: Layout;
  /** Puts a finished file in the key's place, durably; the file is gone from `path` afterwards. */
  readonly publish: (ctx: Ctx, sealed: SealedFile, conditions?: WriteConditions) => Promise<ObjectInfo>;
  readonly keepsAttributes: () => boolean;
  /** Whether contents of this size are noted when they are published, and need not be flushed before. */
  readonly notes: (sizeBytes: number) => boolean;
  /** Whether the file of a key may not be flushed yet. */
  readonly isNoted: (key: string) => boolean;
  /** Flushes it, together with those of others. */
  readonly flushNoted: (key: string) => Promise<void>;
}

const NO_PIECE = Buffer.alloc(0);

type Phase = "open" | "sealed" | "committed" | "aborted";

export class StagedFile implements StagedWrite {
  readonly #place: StagingPlace;
  readonly #key: string;
  readonly #options: StageOptions;
  readonly #path: string;
  #file: DiskFile | undefined;
  #phase: Phase = "open";
  readonly #leave = pieces.enter();
  readonly #pieceBytes = pieces.pieceBytes;
  #piece: Buffer = NO_PIECE;
  #onItsWay: Buffer = NO_PIECE;
  #filled = 0;
  #position = 0;
  #writing: Promise<void> | undefined;
  #sealed: Omit<SealedFile, "path"> | undefined;

  private constructor(place: StagingPlace, key: string, options: StageOptions, path: string, file: DiskFile) {
    this.#place = place;
    this.#key = key;
    this.#options = options;
    this.#path = path;
    this.#file = file;
  }

  static async open(place: StagingPlace, key: string, options: StageOptions): Promise<StagedFile> {
    const path = `${place.layout.staging}/${nextStagingName()}`;
    try {
      return new StagedFile(place, key, options, path, await place.disk.open(path, "create"));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") await place.layout.assertMounted("store.stage");
      throw fromErrno(error, "store.stage", { key });
    }
  }

  get #writtenBytes(): number {
    return this.#position + this.#filled;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const file = this.#openFile();
    const { sizeBytes } = this.#options;
    if (sizeBytes !== undefined && this.#writtenBytes + chunk.byteLength > sizeBytes) throw this.#wrongLength();
    let taken = 0;
    while (taken < chunk.byteLength) {
      if (this.#piece.length === 0) this.#piece = this.#newPiece(chunk.byteLength - taken);
      const count = Math.min(chunk.byteLength - taken, this.#piece.length - this.#filled);
      this.#piece.set(
        taken === 0 && count === chunk.byteLength ? chunk : chunk.subarray(taken, taken + count),
        this.#filled,
      );
      this.#filled += count;
      taken += count;
      if (this.#filled === this.#piece.length) await this.#flush(file);
    }
  }

  /** No larger than what is still to come, where that is known: memory outside the heap is dear, too. */
  #newPiece(atHand: number): Buffer {
    const { sizeBytes } = this.#options;
    const expected =
      sizeBytes === undefined ? Math.max(atHand, FIRST_PIECE_BYTES, this.#position) : sizeBytes - this.#writtenBytes;
    return pieces.lend(Math.min(this.#pieceBytes, expected));
  }

  /** Hands the piece to the disk; waits for the one before, so that two at most are in memory. */
  async #flush(file: DiskFile, as: "hand over" | "keep" = "hand over"): Promise<void> {
    await this.#settle();
    const piece = this.#piece.subarray(0, this.#filled);
    if (as === "hand over") this.#onItsWay = this.#piece;
    const position = this.#position;
    this.#position += this.#filled;
    this.#filled = 0;
    this.#piece = NO_PIECE;
    if (piece.length === 0) return;
    this.#writing = file.write([piece], position);
    // Whoever waits next sees the failure; until then it must not count as unhandled.
    this.#writing.catch(() => undefined);
  }

  async #settle(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    try {
      await writing;
    } catch (error) {
      throw fromErrno(error, "store.stage", { key: this.#key });
    }
    giveBack(this.#onItsWay);
    this.#onItsWay = NO_PIECE;
  }

  #openFile(): DiskFile {
    if (this.#phase !== "open" || this.#file === undefined)
      throw new GfsError("Internal", `A write to ${this.#key} is ${this.#phase} already.`);
    return this.#file;
  }

  #wrongLength(): GfsError {
    return new GfsError("IncompleteBody", `The body of ${this.#key} has another length than was announced.`, {
      op: "store.stage",
    });
  }

  async seal(final?: {
    readonly sha256?: string;
    readonly metadata?: Readonly<Record<string, string>>;
  }): Promise<void> {
    const file = this.#openFile();
    const { sizeBytes, contentType, metadata } = this.#options;
    if (sizeBytes !== undefined && this.#writtenBytes !== sizeBytes) throw this.#wrongLength();
    const bytes =
      this.#position === 0 && this.#place.notes(this.#filled) ? this.#piece.subarray(0, this.#filled) : undefined;
    await this.#flush(file, bytes === undefined ? "hand over" : "keep");
    await this.#settle();
    try {
      this.#sealed = await sealFile(this.#place, this.#key, file, {
        metadata: { ...metadata, ...final?.metadata },
        sha256: final?.sha256,
        contentType,
        bytes,
      });
      this.#file = undefined;
      this.#leave();
      await file.close();
      this.#phase = "sealed";
    } catch (error) {
      throw fromErrno(error, "store.seal", { key: this.#key });
    }
  }

  async commit(ctx: Ctx, { as = this.#key, ...conditions }: CommitOptions = {}): Promise<ObjectInfo> {
    if (this.#phase !== "sealed" || this.#sealed === undefined)
      throw new GfsError("Internal", `A write to ${this.#key} is ${this.#phase} and cannot be committed.`);
    throwIfAborted(ctx, "store.commit");
    checkObjectKey(as);
    const { info: described, ...rest } = this.#sealed;
    const sealed = { path: this.#path, info: { ...described, key: as }, ...rest };
    const info = await this.#place.publish(ctx, sealed, conditions);
    this.#sealed = undefined;
    this.#phase = "committed";
    return info;
  }

  async abort(): Promise<void> {
    if (this.#phase === "committed" || this.#phase === "aborted") return;
    this.#phase = "aborted";
    this.#leave();
    await this.#writing?.catch(() => undefined);
    await this.#file?.close().catch(() => undefined);
    await this.#place.disk.unlink(this.#path).catch((error: unknown) => {
      // What stays for another reason is swept later.
      if (errnoOf(error) !== "ENOENT") return;
    });
  }
}

export interface Contents extends Attributes {
  /** All of them, where they are at hand; they stay as they are. */
  readonly bytes?: Uint8Array | undefined;
}

/** The record goes in last, when the file's time does not change any more; then all of it is made durable at once, or noted when it is published. */
export async function sealFile(
  place: Pick<StagingPlace, "keepsAttributes" | "notes">,
  key: string,
  file: DiskFile,
  { bytes, ...attributes }: Contents,
): Promise<Omit<SealedFile, "path">> {
  const stat = await file.stat();
  if (!place.keepsAttributes()) {
    await file.sync();
    return { info: describeObject(key, stat, undefined) };
  }
  const record = makeRecord(attributes, stat);
  const attribute = encodeRecord(record);
  await file.setAttribute(ATTRIBUTE, attribute);
  const info = describeObject(key, stat, record);
  if (bytes !== undefined && place.notes(bytes.byteLength)) {
    return { info, small: { file: instanceOf(stat), modifiedNs: stat.modifiedNs, attribute, bytes } };
  }
  await file.sync();
  return { info };
}

export async function syncFile(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path, "read");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
