import { decodeName } from "../../protocol/names.ts";
import type { SourceListing } from "./source-calls.ts";

const BUFFER_BYTES = 32_768;
const TYPE_SHIFT = 12;
const HIGH = 4_294_967_296;
/** Positions of the source below this are cookies themselves; others become a number from here on. */
const FIRST_MAPPED = 2 ** 52;

/**
 * The names of a directory as getdents64(2) gives them. A position of the source may need 64 bits, as those of ext4 do, and a cookie has 53:
 * positions that do not fit are numbered. The same position has the same number as long as the directory is open, so that a listing can go
 * back to any name it came past, whatever was added and removed meanwhile.
 */
export class NativeListing implements SourceListing {
  name = "";
  inode = 0;
  mode = 0;
  cookie = 0;
  readonly #read: (into: Buffer) => number;
  readonly #seek: (position: bigint) => void;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #at = 0;
  readonly #positions: bigint[] = [];
  readonly #numbers = new Map<bigint, number>();

  constructor(read: (into: Buffer) => number, seek: (position: bigint) => void) {
    this.#read = read;
    this.#seek = seek;
  }

  next(): boolean | number {
    if (this.#at >= this.#used) {
      const readBytes = this.#read(this.#buffer);
      if (readBytes < 0) return readBytes;
      this.#used = readBytes;
      this.#at = 0;
      if (readBytes === 0) return false;
    }
    // struct linux_dirent64: inode, position, length of the record, type, name.
    const buffer = this.#buffer;
    const at = this.#at;
    this.inode = buffer.readUInt32LE(at + 4) * HIGH + buffer.readUInt32LE(at);
    this.mode = (buffer[at + 18] as number) << TYPE_SHIFT;
    this.name = decodeName(buffer, at + 19, buffer.indexOf(0, at + 19));
    this.cookie = this.#cookieOf(at + 8);
    this.#at = at + buffer.readUInt16LE(at + 16);
    return true;
  }

  seek(cookie: number): void {
    this.#used = 0;
    this.#at = 0;
    this.cookie = cookie;
    this.#seek(cookie >= FIRST_MAPPED ? (this.#positions[cookie - FIRST_MAPPED] ?? 0n) : BigInt(cookie));
  }

  #cookieOf(at: number): number {
    const high = this.#buffer.readUInt32LE(at + 4);
    const direct = high * HIGH + this.#buffer.readUInt32LE(at);
    if (direct > 0 && direct < FIRST_MAPPED) return direct;
    const position = this.#buffer.readBigInt64LE(at);
    const known = this.#numbers.get(position);
    if (known !== undefined) return known;
    const cookie = FIRST_MAPPED + this.#positions.length;
    this.#positions.push(position);
    this.#numbers.set(position, cookie);
    return cookie;
  }
}
