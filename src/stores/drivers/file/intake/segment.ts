import { randomBytes } from "node:crypto";
import type { Disk, DiskFile } from "../../../../core/ports/disk.ts";
import {
  BLOCK_BYTES,
  decodeHeader,
  encodeHeader,
  ID_BYTES,
  type PreparedRecord,
  type SegmentHeader,
  type SegmentState,
  toBlock,
  writeRecord,
} from "./record-codec.ts";

/** A file that takes records until it is full, and again once what they speak of has been made durable. */
export class Segment {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #place: string;
  #header: SegmentHeader | undefined;
  #nextSequence = 0;
  #position = 0;
  /** Records whose change is being made. */
  #pending = 0;
  #settled: (() => void) | undefined;
  readonly keys = new Set<string>();
  bytes = 0;
  records = 0;

  private constructor(path: string, file: DiskFile, place: string) {
    this.path = path;
    this.#file = file;
    this.#place = place;
  }

  static async open(disk: Disk, path: string): Promise<Segment> {
    const file = await disk.open(path, "log");
    try {
      return new Segment(path, file, (await file.stat()).place);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  begin(firstSequence: number): void {
    this.#header = { id: randomBytes(ID_BYTES), state: "open", firstSequence };
    this.#nextSequence = firstSequence;
    this.#position = 0;
    this.keys.clear();
    this.bytes = 0;
    this.records = 0;
  }

  /** Where the next batch begins; the header goes with the first. */
  get end(): number {
    return toBlock(Math.max(this.#position, BLOCK_BYTES));
  }

  /** They are durable when it resolves. One call at a time. */
  async write(batch: readonly PreparedRecord[]): Promise<void> {
    const header = this.#header as SegmentHeader;
    const start = this.#position === 0 ? BLOCK_BYTES : 0;
    const sizeBytes = batch.reduce((sum, each) => sum + each.sizeBytes, start);
    const buffer = Buffer.allocUnsafeSlow(toBlock(sizeBytes));
    if (start > 0) encodeHeader(header).copy(buffer);
    let end = start;
    for (const prepared of batch) {
      end = writeRecord(buffer, end, { prepared, id: header.id, sequence: this.#nextSequence });
      this.#nextSequence += 1;
    }
    buffer.fill(0, end);
    const at = this.#position === 0 ? 0 : this.end;
    this.#position = at + end;
    await this.#file.write([buffer], at);
  }

  get nextSequence(): number {
    return this.#nextSequence;
  }

  enter(): void {
    this.#pending += 1;
  }

  leave(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#settled?.();
  }

  /** Resolves once no change of its records is being made. */
  async settled(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#settled = resolve));
    this.#settled = undefined;
  }

  /** Whether its name still leads to it: whoever takes it away makes durable what it spoke of until then, and nothing later. */
  async isThere(disk: Disk): Promise<boolean> {
    try {
      return (await disk.stat(this.path)).place === this.#place;
    } catch {
      return false;
    }
  }

  async syncFileSystem(): Promise<void> {
    await this.#file.syncFileSystem();
  }

  async mark(state: SegmentState): Promise<void> {
    if (this.#header === undefined || this.#position === 0) return;
    await this.#file.write([encodeHeader({ ...this.#header, state })], 0);
    this.#header = undefined;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** A segment as it lies there. */
export interface FoundSegment {
  readonly path: string;
  readonly header: SegmentHeader;
}

const NAME = /^(closing-[0-9a-f]+-)?segment-\d+$/;

export function isSegment(name: string): boolean {
  return NAME.test(name);
}

/** The header says what to do with the rest. */
export async function readHeader(file: DiskFile): Promise<SegmentHeader | undefined> {
  const block = Buffer.alloc(BLOCK_BYTES);
  return decodeHeader(block.subarray(0, await file.read(block, 0)));
}
