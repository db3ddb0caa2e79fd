import { closeSync, constants, fsync, fsyncSync, openSync, unlinkSync, writeSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What is written to, as the trail needs it; tests stand in for a disk that fails. */
export interface TrailDisk {
  open(path: string): number;
  /** May write less than was given. */
  write(descriptor: number, bytes: Uint8Array): number;
}

export const systemTrailDisk: TrailDisk = {
  open: (path) => openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600),
  write: (descriptor, bytes) => writeSync(descriptor, bytes),
};

/** So that deletes have their lines on a disk that others have filled. */
const RESERVE = "reserve";
const RESERVE_BYTES = 1024 * 1024;
/** Past this, lines that cannot be written are counted only. */
const MOST_WAITING_BYTES = 1024 * 1024;

/** Bytes to the end of one file after the other, in order; what the disk does not take waits for its turn. */
export class LinesFile {
  readonly #directory: string;
  readonly #disk: TrailDisk;
  #descriptor: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #dirty = false;
  #reserve = false;
  name: string;
  sizeBytes: number;
  /** Why the last attempt failed. */
  failure: Error | undefined;

  constructor(directory: string, disk: TrailDisk, { name, sizeBytes }: { name: string; sizeBytes: number }) {
    this.#directory = directory;
    this.#disk = disk;
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#descriptor = disk.open(join(directory, name));
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** False: there is no room to keep it, and it is lost. */
  add(bytes: Buffer): boolean {
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes.byteLength > MOST_WAITING_BYTES) return false;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.byteLength;
    this.write();
    return true;
  }

  /** What waits, as far as the disk takes it. */
  write(): void {
    while (this.#waiting.length > 0) {
      const bytes = this.#waiting[0] as Buffer;
      try {
        const written = this.#writeSome(bytes);
        this.sizeBytes += written;
        this.#waitingBytes -= written;
        this.#dirty = true;
        if (written === bytes.byteLength) this.#waiting.shift();
        else this.#waiting[0] = bytes.subarray(written);
        this.failure = undefined;
      } catch (error) {
        this.failure = error as Error;
        return;
      }
    }
  }

  #writeSome(bytes: Buffer): number {
    try {
      return this.#disk.write(this.#descriptor, bytes);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ENOSPC" || !this.#reserve) throw error;
      this.#reserve = false;
      unlinkSync(join(this.#directory, RESERVE));
      return this.#disk.write(this.#descriptor, bytes);
    }
  }

  /** Goes on in a new file; the one before is on the disk soon. */
  next(name: string): void {
    const before = this.#descriptor;
    this.#descriptor = this.#disk.open(join(this.#directory, name));
    this.name = name;
    this.sizeBytes = 0;
    fsync(before, () => closeSync(before));
  }

  /** Brings what was written onto the disk, in the background. */
  sync(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    fsync(this.#descriptor, (error) => {
      if (error !== null) this.#dirty = true;
    });
  }

  /** Room that is kept for the day when there is none. */
  async keepReserve(): Promise<void> {
    if (this.#reserve) return;
    const path = join(this.#directory, RESERVE);
    try {
      await writeFile(path, Buffer.alloc(RESERVE_BYTES), { mode: 0o600 });
      this.#reserve = true;
    } catch {
      await rm(path, { force: true }).catch(() => undefined);
    }
  }

  close(): void {
    try {
      fsyncSync(this.#descriptor);
    } finally {
      closeSync(this.#descriptor);
    }
  }
}
