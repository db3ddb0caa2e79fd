import type { createHash, Hash } from "node:crypto";
import type { MessagePort } from "node:worker_threads";
import type { Lanes } from "./md5-module.ts";

/** A body has a seat in its thread from its first byte to its digests, and with it two slots of the memory that both sides see. */
export type ToThread =
  | { readonly seat: number; readonly names: readonly HashName[] }
  /** Only the last of a body may have another length than a multiple of 64. */
  | { readonly seat: number; readonly slot: number; readonly length: number }
  | { readonly seat: number; readonly end: "digest" | "abandon" };

export type FromThread =
  | { readonly seat: number; readonly slot: number }
  /** The seat is free. */
  | { readonly seat: number; readonly digests: Digests };

export type HashName = "md5" | "sha256";
export type Digests = Readonly<Partial<Record<HashName, string>>>;

export interface ThreadData {
  readonly memory: WebAssembly.Memory;
  readonly modules: readonly (readonly [Lanes, WebAssembly.Module])[];
  readonly md5Start: readonly number[];
  readonly firstSlotByte: number;
  readonly slotBytes: number;
}

/**
 * What a thread does that hashes bodies: MD5 in as many lanes as bodies have bytes waiting, SHA-256 by the runtime. It goes to the thread as
 * text, so it may use nothing but its parameters and what every thread has.
 */
export function hashInThread(port: MessagePort, data: ThreadData, hashOf: typeof createHash): void {
  interface Piece {
    readonly slot: number;
    readonly length: number;
    /** How far MD5 has come. */
    taken: number;
  }
  interface Body {
    readonly seat: number;
    readonly md5: Uint32Array | undefined;
    readonly sha256: Hash | undefined;
    readonly pieces: Piece[];
    sizeBytes: number;
    ended: boolean;
  }
  type Kernel = (...pointersBlocksAndState: number[]) => void;

  const { memory, firstSlotByte, slotBytes } = data;
  const BLOCK_BYTES = 64;
  /** The head of the memory: the state of up to eight lanes, then a body's last blocks. */
  const TAIL = 256;
  const state = new Uint32Array(memory.buffer, 0, 32);
  const tail = new Uint8Array(memory.buffer, TAIL, 2 * BLOCK_BYTES);
  const tailView = new DataView(memory.buffer, TAIL, 2 * BLOCK_BYTES);
  const kernels = data.modules.map(([lanes, module]) => {
    const { exports } = new WebAssembly.Instance(module, { e: { m: memory } });
    return { lanes, run: exports["f"] as Kernel };
  });
  const bodies = new Map<number, Body>();
  /** Bodies with a block at least that MD5 has not seen, the longest waiting first. */
  const waiting = new Set<Body>();
  let scheduled = false;

  const pointerOf = ({ slot, taken }: Piece): number => firstSlotByte + slot * slotBytes + taken;
  const wordIndex = (lane: number, word: number): number => (lane >> 2) * 16 + word * 4 + (lane & 3);

  const advance = (some: readonly Body[], pointers: readonly number[], blocks: number): void => {
    const { lanes, run } = kernels.find((kernel) => kernel.lanes >= some.length) as (typeof kernels)[number];
    for (const [lane, { md5 }] of some.entries()) {
      for (let word = 0; word < 4; word++) state[wordIndex(lane, word)] = (md5 as Uint32Array)[word] as number;
    }
    // Lanes that nobody needs read what the first reads, and nobody looks at what they make of it.
    const all = Array.from({ length: lanes }, (_, lane) => pointers[lane] ?? (pointers[0] as number));
    run(...all, blocks, 0);
    for (const [lane, { md5 }] of some.entries()) {
      for (let word = 0; word < 4; word++) (md5 as Uint32Array)[word] = state[wordIndex(lane, word)] as number;
    }
  };
  const releaseFirst = (body: Body): void => {
    const { slot } = body.pieces.shift() as Piece;
    port.postMessage({ seat: body.seat, slot } satisfies FromThread);
  };
  const blocksOf = ({ length, taken }: Piece): number => Math.floor((length - taken) / BLOCK_BYTES);

  const finishIfDone = (body: Body): void => {
    if (!body.ended || waiting.has(body)) return;
    bodies.delete(body.seat);
    const digests: { md5?: string; sha256?: string } = {};
    if (body.sha256 !== undefined) digests.sha256 = body.sha256.digest("hex");
    if (body.md5 !== undefined) {
      const [last] = body.pieces;
      const rest = last === undefined ? 0 : last.length - last.taken;
      tail.fill(0);
      if (last !== undefined) tail.set(new Uint8Array(memory.buffer, pointerOf(last), rest));
      tail[rest] = 0x80;
      const blocks = rest + 9 > BLOCK_BYTES ? 2 : 1;
      tailView.setBigUint64(blocks * BLOCK_BYTES - 8, BigInt(body.sizeBytes) * 8n, true);
      advance([body], [TAIL], blocks);
      const digest = new DataView(new ArrayBuffer(16));
      for (let word = 0; word < 4; word++) digest.setUint32(word * 4, body.md5[word] as number, true);
      digests.md5 = [...new Uint8Array(digest.buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    port.postMessage({ seat: body.seat, digests } satisfies FromThread);
  };

  const work = (): void => {
    scheduled = false;
    const some: Body[] = [];
    for (const body of waiting) {
      some.push(body);
      if (some.length === 8) break;
    }
    if (some.length === 0) return;
    const pieces = some.map((body) => body.pieces[0] as Piece);
    const blocks = Math.min(...pieces.map(blocksOf));
    advance(some, pieces.map(pointerOf), blocks);
    for (const [index, body] of some.entries()) {
      const piece = pieces[index] as Piece;
      piece.taken += blocks * BLOCK_BYTES;
      waiting.delete(body);
      if (piece.taken === piece.length) releaseFirst(body);
      if (body.pieces[0] !== undefined && blocksOf(body.pieces[0]) > 0) waiting.add(body);
      else finishIfDone(body);
    }
    schedule();
  };
  /** Messages that are here already are read first, so that more bodies go side by side. */
  const schedule = (): void => {
    if (scheduled || waiting.size === 0) return;
    scheduled = true;
    setImmediate(work);
  };

  port.on("message", (message: ToThread) => {
    if ("names" in message) {
      const { seat, names } = message;
      bodies.set(seat, {
        seat,
        md5: names.includes("md5") ? Uint32Array.from(data.md5Start) : undefined,
        sha256: names.includes("sha256") ? hashOf("sha256") : undefined,
        pieces: [],
        sizeBytes: 0,
        ended: false,
      });
      return;
    }
    const body = bodies.get(message.seat) as Body;
    if ("slot" in message) {
      const piece: Piece = { slot: message.slot, length: message.length, taken: 0 };
      body.sizeBytes += piece.length;
      body.sha256?.update(new Uint8Array(memory.buffer, pointerOf(piece), piece.length));
      body.pieces.push(piece);
      if (body.md5 === undefined) releaseFirst(body);
      else if (blocksOf(piece) > 0) waiting.add(body);
      schedule();
    } else if (message.end === "digest") {
      body.ended = true;
      finishIfDone(body);
    } else {
      bodies.delete(body.seat);
      waiting.delete(body);
      port.postMessage({ seat: body.seat, digests: {} } satisfies FromThread);
    }
  });
}
