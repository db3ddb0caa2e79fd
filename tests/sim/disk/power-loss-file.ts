import type { Random } from "../../../src/core/ports/random.ts";

/** A file's content with its whole history since it was last flushed: what power loss may leave of it is any mixture of that. */
export class FileNode {
  readonly kind = "file";
  readonly inode: number;
  readonly bornNs: bigint;
  /** The first is durable, the last is what programs see, those between are writes on their way. */
  #states: FileState[];

  constructor(inode: number, modifiedNs: bigint) {
    this.inode = inode;
    this.bornNs = modifiedNs;
    this.#states = [{ bytes: new Uint8Array(), attributes: new Map(), modifiedNs }];
  }

  get now(): FileState {
    return this.#states.at(-1) as FileState;
  }

  write(buffer: Uint8Array, position: number, modifiedNs: bigint): void {
    const { bytes, attributes } = this.now;
    const next = new Uint8Array(Math.max(bytes.byteLength, position + buffer.byteLength));
    next.set(bytes);
    next.set(buffer, position);
    this.#states.push({ bytes: next, attributes, modifiedNs });
  }

  truncate(sizeBytes: number, modifiedNs: bigint): void {
    const next = new Uint8Array(sizeBytes);
    next.set(this.now.bytes.subarray(0, sizeBytes));
    this.#states.push({ bytes: next, attributes: this.now.attributes, modifiedNs });
  }

  setAttribute(name: string, value: Uint8Array): void {
    const attributes = new Map(this.now.attributes).set(name, value.slice());
    this.#states.push({ ...this.now, attributes });
  }

  flush(): void {
    this.#states = [this.now];
  }

  /** Each piece of the content, the size, the time and each attribute come from a moment of their own. */
  losePower(random: Random): void {
    const states = this.#states;
    if (states.length === 1) return;
    const any = (): FileState => states[Math.floor(random.fraction() * states.length)] as FileState;
    const granule = random.fraction() < 0.5 ? 512 : 4_096;
    const bytes = new Uint8Array(any().bytes.byteLength);
    for (let start = 0; start < bytes.byteLength; start += granule) {
      bytes.set(any().bytes.subarray(start, Math.min(start + granule, bytes.byteLength)), start);
    }
    const attributes = new Map<string, Uint8Array>();
    for (const name of this.now.attributes.keys()) {
      const value = any().attributes.get(name);
      if (value !== undefined) attributes.set(name, value);
    }
    this.#states = [{ bytes, attributes, modifiedNs: any().modifiedNs }];
  }
}

export interface FileState {
  readonly bytes: Uint8Array;
  readonly attributes: ReadonlyMap<string, Uint8Array>;
  readonly modifiedNs: bigint;
}
