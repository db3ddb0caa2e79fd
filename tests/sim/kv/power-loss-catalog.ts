import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Random } from "../../../src/core/ports/random.ts";

/**
 * What power loss leaves of the one file of a catalog: every sector as some moment since the newest flush had it, each by itself; and what was written through a
 * handle that flushes, whole once it was answered, and torn before. It watches the calls that this process makes of the system, since the library that
 * writes the pages does it by itself.
 */
const SECTOR_BYTES = 512;

interface Through {
  readonly at: number;
  readonly bytes: Buffer;
}

export class PowerLossFile {
  readonly #path: string;
  #durable: Buffer;
  /** As the file was at moments since then. */
  #later: Buffer[] = [];
  #through: Through | undefined;
  #datasync: (() => Promise<void>) | undefined;
  #write: FileHandle["write"] | undefined;
  #prototype: FileHandle | undefined;
  /** Fails the next flush, as a disk does that lost what it was given. */
  failsNext = false;

  constructor(path: string) {
    this.#path = path;
    this.#durable = this.#now();
  }

  /** From here on; one at a time in a process. */
  async watch(): Promise<void> {
    const probe = await open(this.#path, "r");
    const prototype = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    this.#prototype = prototype;
    // oxlint-disable-next-line typescript/unbound-method -- They are called with their handles.
    const { datasync, write } = prototype;
    [this.#datasync, this.#write] = [datasync, write];
    // oxlint-disable-next-line typescript/no-this-alias -- The replacements have a `this` of their own.
    const disk = this;
    prototype.datasync = async function (this: FileHandle) {
      const asked = disk.#now();
      disk.#later.push(asked);
      if (disk.failsNext) {
        disk.failsNext = false;
        throw Object.assign(new Error("Input/output error"), { code: "EIO" });
      }
      await datasync.call(this);
      disk.#later.push(disk.#now());
      disk.#later = disk.#later.slice(disk.#later.indexOf(asked) + 1);
      disk.#durable = asked;
    };
    prototype.write = async function (this: FileHandle, bytes: Buffer, offset: number, length: number, at: number) {
      const through = { at, bytes: Buffer.from(bytes.subarray(offset, offset + length)) };
      disk.#through = through;
      const answer = await (write as (...words: unknown[]) => Promise<unknown>).call(this, bytes, offset, length, at);
      for (const each of [disk.#durable, ...disk.#later]) through.bytes.copy(each, at);
      disk.#through = undefined;
      return answer;
    } as FileHandle["write"];
  }

  stop(): void {
    if (this.#prototype === undefined) return;
    this.#prototype.datasync = this.#datasync as FileHandle["datasync"];
    this.#prototype.write = this.#write as FileHandle["write"];
  }

  /** The disk may have it as it is at this moment. */
  mayKeep(): void {
    const now = this.#now();
    // What is being written through is left to `image`.
    if (this.#through !== undefined) this.#durable.copy(now, this.#through.at, this.#through.at, this.#end);
    this.#later.push(now);
  }

  get #end(): number {
    return (this.#through?.at ?? 0) + (this.#through?.bytes.length ?? 0);
  }

  image(random: Random): Buffer {
    const moments = [this.#durable, ...this.#later];
    const length = Math.max(...moments.map((each) => each.length));
    const image = Buffer.alloc(length);
    for (let at = 0; at < length; at += SECTOR_BYTES) {
      const from = moments[Math.floor(random.fraction() * moments.length)] as Buffer;
      from.copy(image, at, Math.min(at, from.length), Math.min(at + SECTOR_BYTES, from.length));
    }
    if (this.#through === undefined) return image;
    const { at: start, bytes } = this.#through;
    this.#durable.copy(image, start, start, start + bytes.length);
    for (let at = 0; at < bytes.length; at += SECTOR_BYTES)
      if (random.fraction() < 0.5) bytes.copy(image, start + at, at, Math.min(at + SECTOR_BYTES, bytes.length));
    return image;
  }

  #now(): Buffer {
    const file = openSync(this.#path, "r");
    try {
      const bytes = Buffer.alloc(fstatSync(file).size);
      readSync(file, bytes, 0, bytes.length, 0);
      return bytes;
    } finally {
      closeSync(file);
    }
  }
}
