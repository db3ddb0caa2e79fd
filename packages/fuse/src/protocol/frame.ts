import { protocolError } from "./errors.ts";
import { decodeName } from "./names.ts";
import { opcodeName } from "./opcodes.ts";
import { InHeader } from "./structs-in.ts";

const HEADER = InHeader.at;
const BODY = InHeader.sizeBytes;
const HIGH = 4_294_967_296;
/** The high half of the largest integer that a number holds exactly. */
const HIGHEST_EXACT = 0x1f_ffff;

/**
 * One request of the kernel in a buffer that is used again and again. `parse` checks the header against the number of bytes that were read;
 * after that every access stays inside the request, or throws a `Protocol` error. Offsets are counted from the end of the header.
 */
export class Frame {
  readonly bytes: Buffer;
  /** True for memory that another thread will write to as soon as the request has been decoded: data must then be copied. */
  readonly shared: boolean;
  readonly #view: DataView;

  opcode = 0;
  unique = 0;
  inode = 0;
  uid = 0;
  gid = 0;
  pid = 0;
  /** How many bytes the body has, without the extensions behind it. */
  bodyBytes = 0;
  extensionBytes = 0;

  constructor(bytes: Buffer, shared: boolean) {
    this.bytes = bytes;
    this.shared = shared;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  parse(readBytes: number): void {
    if (readBytes < BODY || readBytes > this.bytes.length) {
      throw protocolError(`${readBytes} bytes are no request`);
    }
    const view = this.#view;
    const length = view.getUint32(HEADER.len, true);
    if (length !== readBytes) throw protocolError(`${readBytes} bytes came, and the header says ${length}`);
    this.opcode = view.getUint32(HEADER.opcode, true);
    this.unique = this.#exact(HEADER.unique);
    this.inode = this.#exact(HEADER.nodeid);
    this.uid = view.getUint32(HEADER.uid, true);
    this.gid = view.getUint32(HEADER.gid, true);
    this.pid = view.getUint32(HEADER.pid, true);
    this.extensionBytes = view.getUint16(HEADER.total_extlen, true) * 8;
    this.bodyBytes = length - BODY - this.extensionBytes;
    if (this.bodyBytes < 0) throw protocolError(`its extensions are longer than ${opcodeName(this.opcode)} itself`);
  }

  /** To be asked before the fields of a structure are read. */
  require(sizeBytes: number): void {
    if (this.bodyBytes < sizeBytes) {
      throw protocolError(`${opcodeName(this.opcode)} has a body of ${this.bodyBytes} bytes, not ${sizeBytes}`);
    }
  }

  u32(offset: number): number {
    return this.#view.getUint32(BODY + offset, true);
  }

  /** A 64-bit number as near as a number comes to it: exact below 2^53, which is true of every offset a file can have here. */
  u64(offset: number): number {
    return this.#view.getUint32(BODY + offset + 4, true) * HIGH + this.#view.getUint32(BODY + offset, true);
  }

  i64(offset: number): number {
    return this.#view.getInt32(BODY + offset + 4, true) * HIGH + this.#view.getUint32(BODY + offset, true);
  }

  /** A number that we gave the kernel: one that cannot be exact was never ours. */
  id(offset: number): number {
    return this.#exact(BODY + offset);
  }

  bigint(offset: number): bigint {
    return this.#view.getBigUint64(BODY + offset, true);
  }

  /** The offset of the zero byte that ends the string which begins here. */
  stringEnd(offset: number): number {
    const end = offset <= this.bodyBytes ? this.bytes.indexOf(0, BODY + offset) - BODY : -1;
    if (end < offset || end >= this.bodyBytes) {
      throw protocolError(`a name in ${opcodeName(this.opcode)} does not end`);
    }
    return end;
  }

  string(offset: number, end: number): string {
    return decodeName(this.bytes, BODY + offset, BODY + end);
  }

  /** The bytes from here on. They are those of the frame itself, unless it is shared. */
  data(offset: number, sizeBytes: number): Buffer {
    if (offset + sizeBytes > this.bodyBytes) {
      throw protocolError(`${opcodeName(this.opcode)} announces ${sizeBytes} bytes and has ${this.bodyBytes - offset}`);
    }
    const view = this.bytes.subarray(BODY + offset, BODY + offset + sizeBytes);
    return this.shared ? Buffer.from(view) : view;
  }

  /** The extensions behind the body, as a copy. */
  extensions(): Buffer {
    const start = BODY + this.bodyBytes;
    return Buffer.from(this.bytes.subarray(start, start + this.extensionBytes));
  }

  #exact(offset: number): number {
    const high = this.#view.getUint32(offset + 4, true);
    if (high > HIGHEST_EXACT) throw protocolError("it has a number that nobody gave it");
    return high * HIGH + this.#view.getUint32(offset, true);
  }
}
