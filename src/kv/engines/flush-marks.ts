import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import { constants, type FileHandle, open } from "node:fs/promises";
import { GfsError } from "../../core/errors.ts";

/**
 * What leads back to the last state of an LMDB file that is durable as a whole.
 *
 * The library writes a commit without a flush: its pages, then one of the two meta pages that say where the tree begins. Power loss may keep a meta page and
 * lose what it points to. So the beginnings of both meta pages, as they were at a flush, are kept in halves of the file's first pages that the library
 * leaves alone, and put back when the machine has started anew since. The pages of that state must not have been written over: the engine holds a reader on it until
 * the next mark is durable. Marks are written in turns, each with a sum, so that one that was torn leaves the one before.
 */
const PLACES = [2_048, 6_144] as const;
const MAGIC = Buffer.from("gfsflush");
/** Of a meta page: the page's header and the description of the trees. */
const HEAD_BYTES = 512;
const BOOT_BYTES = 64;
const SUM_BYTES = 32;
const HEADS_AT = MAGIC.length + 8 + 4 + 1 + BOOT_BYTES;
const MARK_BYTES = HEADS_AT + 2 * HEAD_BYTES + SUM_BYTES;
/** Not on every system: where it is missing a write is flushed after it. */
const WRITES_THROUGH: number | undefined = constants.O_DSYNC;

export type Heads = readonly [Buffer, Buffer];

interface Mark {
  readonly sequence: number;
  readonly pageBytes: number;
  /** The engine was closed: nothing was written after it. */
  readonly isLast: boolean;
  /** Empty where the system does not tell. */
  readonly bootId: string;
  readonly heads: Heads;
}

function encode({ sequence, pageBytes, isLast, bootId, heads }: Mark): Buffer {
  const bytes = Buffer.alloc(MARK_BYTES);
  bytes.set(MAGIC);
  bytes.writeDoubleBE(sequence, MAGIC.length);
  bytes.writeUInt32BE(pageBytes, MAGIC.length + 8);
  bytes.writeUInt8(isLast ? 1 : 0, MAGIC.length + 12);
  bytes.write(bootId, MAGIC.length + 13, BOOT_BYTES, "latin1");
  bytes.set(heads[0], HEADS_AT);
  bytes.set(heads[1], HEADS_AT + HEAD_BYTES);
  bytes.set(sumOf(bytes), MARK_BYTES - SUM_BYTES);
  return bytes;
}

function decode(bytes: Buffer): Mark | undefined {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (!bytes.subarray(MARK_BYTES - SUM_BYTES).equals(sumOf(bytes))) return undefined;
  const head = (index: number): Buffer =>
    bytes.subarray(HEADS_AT + index * HEAD_BYTES, HEADS_AT + (index + 1) * HEAD_BYTES);
  return {
    sequence: bytes.readDoubleBE(MAGIC.length),
    pageBytes: bytes.readUInt32BE(MAGIC.length + 8),
    isLast: bytes.readUInt8(MAGIC.length + 12) === 1,
    bootId: bytes.toString("latin1", MAGIC.length + 13, HEADS_AT).replace(/\0+$/, ""),
    heads: [head(0), head(1)],
  };
}

function sumOf(bytes: Buffer): Buffer {
  return createHash("sha256")
    .update(bytes.subarray(0, MARK_BYTES - SUM_BYTES))
    .digest();
}

async function readMark(file: FileHandle): Promise<Mark | undefined> {
  let newest: Mark | undefined;
  for (const place of PLACES) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MARK_BYTES), 0, MARK_BYTES, place);
    const mark = bytesRead === MARK_BYTES ? decode(buffer) : undefined;
    if (newest === undefined || (mark !== undefined && mark.sequence > newest.sequence)) newest = mark;
  }
  return newest;
}

/** The mark to go back to, where commits may have come after it that power loss has left half written, or has undone. */
async function findLost(file: FileHandle, bootId: string | undefined): Promise<Mark | undefined> {
  const mark = await readMark(file);
  if (mark === undefined || mark.isLast || (bootId !== undefined && bootId === mark.bootId)) return undefined;
  return mark;
}

export async function hasLost(path: string, bootId: string | undefined): Promise<boolean> {
  const file = await open(path, "r");
  try {
    return (await findLost(file, bootId)) !== undefined;
  } finally {
    await file.close();
  }
}

/** Before the library opens the file. Answers whether commits may have been undone. */
export async function restoreFlushed(path: string, bootId: string | undefined): Promise<boolean> {
  const file = await open(path, "r+");
  try {
    const mark = await findLost(file, bootId);
    if (mark === undefined) return false;
    for (const [index, head] of mark.heads.entries()) await file.write(head, 0, HEAD_BYTES, index * mark.pageBytes);
    await file.datasync();
    return true;
  } finally {
    await file.close();
  }
}

export class FlushMarks {
  readonly #file: FileHandle;
  readonly #marking: FileHandle;
  readonly #pageBytes: number;
  readonly #bootId: string;
  #sequence: number;
  #durable: Heads | undefined;
  #hasFailed = false;

  private constructor(
    files: { readonly file: FileHandle; readonly marking: FileHandle },
    { sequence, pageBytes, bootId }: Omit<Mark, "heads" | "isLast">,
  ) {
    this.#file = files.file;
    this.#marking = files.marking;
    this.#sequence = sequence;
    this.#pageBytes = pageBytes;
    this.#bootId = bootId;
  }

  static async open(
    path: string,
    { pageBytes, bootId }: { readonly pageBytes: number; readonly bootId: string | undefined },
  ): Promise<FlushMarks> {
    const file = await open(path, "r+");
    const marking = await open(path, constants.O_RDWR | (WRITES_THROUGH ?? 0));
    const sequence = (await readMark(file))?.sequence ?? 0;
    return new FlushMarks({ file, marking }, { sequence, pageBytes, bootId: bootId ?? "" });
  }

  get descriptor(): number {
    return this.#file.fd;
  }

  /** Of the newest commit. In the caller's turn, so that none comes between this and what the caller does to keep its pages. */
  headsNow(): Heads {
    return [this.#headNow(0), this.#headNow(1)];
  }

  #headNow(index: number): Buffer {
    const head = Buffer.alloc(HEAD_BYTES);
    readSync(this.#file.fd, head, 0, HEAD_BYTES, index * this.#pageBytes);
    return head;
  }

  /** Makes all durable that was written before, and then the mark that leads back to it. */
  async flush(heads: Heads): Promise<void> {
    try {
      await this.#file.datasync();
      await this.#mark(heads, { bootId: this.#bootId, isLast: false });
      this.#durable = heads;
    } catch (error) {
      this.#hasFailed = true;
      // What the system holds of the file is no longer to be trusted, nor by the next start: it shall begin with what was durable before.
      if (this.#durable !== undefined)
        await this.#mark(this.#durable, { bootId: "", isLast: false }).catch(() => undefined);
      throw error;
    }
  }

  async #mark(heads: Heads, { bootId, isLast }: Pick<Mark, "bootId" | "isLast">): Promise<void> {
    this.#sequence += 1;
    const mark = encode({ sequence: this.#sequence, pageBytes: this.#pageBytes, isLast, bootId, heads });
    const { bytesWritten } = await this.#marking.write(mark, 0, MARK_BYTES, PLACES[this.#sequence % 2]);
    if (bytesWritten !== MARK_BYTES) throw new GfsError("Unavailable", "The disk took a part of a write.");
    if (WRITES_THROUGH === undefined) await this.#marking.datasync();
  }

  /** After all that was written was flushed. */
  async close(): Promise<void> {
    try {
      if (this.#durable !== undefined && !this.#hasFailed)
        await this.#mark(this.#durable, { bootId: this.#bootId, isLast: true });
    } finally {
      await this.#marking.close();
      await this.#file.close();
    }
  }
}
