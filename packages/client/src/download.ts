import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { mayComeBack, pauseAfter } from "./comeback.ts";
import { errorOfTransport, GlobalFsError, header } from "./errors.ts";
import { discard, type OpenAnswer, type Transport } from "./transport.ts";
import type { ObjectInfo } from "./types.ts";

export interface Download {
  readonly info: ObjectInfo;
  /** The bytes of this answer: `start` inclusive, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  /** Read it to its end, or destroy it. */
  readonly body: Readable;
  bytes(): Promise<Buffer>;
  text(): Promise<string>;
}

export interface Span {
  readonly start: number;
  readonly end: number;
  readonly size: number;
}

/** Where the bytes of an answer lie in the object. */
export function spanOf(answer: OpenAnswer): Span {
  const length = Number(header(answer, "content-length") ?? 0);
  if (answer.status !== 206) return { start: 0, end: length, size: length };
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header(answer, "content-range") ?? "");
  if (match === null) {
    discard(answer.body);
    throw new GlobalFsError("Internal", "The coordinator sent a part of the object without saying which.");
  }
  return { start: Number(match[1]), end: Number(match[2]) + 1, size: Number(match[3]) };
}

export interface DownloadPlan {
  readonly first: OpenAnswer;
  readonly span: Span;
  readonly etag: string;
  /** Hex; compared at the end of a whole object. */
  readonly sha256: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Asks for the bytes from `start` on, of this very version. */
  reopen(start: number): Promise<OpenAnswer>;
}

/** For so long a download waits for the coordinator to come back, such as from a restart. */
const PATIENCE_MS = 30_000;

/** The bytes, in order, across broken connections and restarts: it goes on where it stopped, and never with another version. */
export async function* resumedBytes(transport: Transport, plan: DownloadPlan): AsyncGenerator<Buffer> {
  const hash = plan.sha256 === undefined ? undefined : createHash("sha256");
  let answer: OpenAnswer | undefined = plan.first;
  let position = plan.span.start;
  let failures = 0;
  let movedMs = performance.now();
  for (;;) {
    try {
      answer ??= await plan.reopen(position);
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        failures = 0;
        movedMs = performance.now();
        position += piece.length;
        hash?.update(piece);
        yield piece;
      }
      if (position >= plan.span.end) break;
      throw new GlobalFsError("BrokenStream", "The coordinator ended the answer before its end.");
    } catch (error) {
      const translated = errorOfTransport(error, transport.endpoint, plan.signal);
      failures += 1;
      const isPatient = failures <= transport.retries + 1 || performance.now() - movedMs < PATIENCE_MS;
      if (plan.etag === "" || !mayComeBack(translated) || !isPatient) throw translated;
      await pauseAfter(failures, plan.signal, transport.endpoint);
    } finally {
      if (answer !== undefined) discard(answer.body);
      answer = undefined;
    }
  }
  if (hash !== undefined && hash.digest("hex") !== plan.sha256) {
    throw new GlobalFsError("ChecksumMismatch", "The bytes that arrived are not those that the coordinator announced.");
  }
}

/** `release` frees the connection, also when nobody ever read. */
export function downloadOf(info: ObjectInfo, span: Span, source: AsyncIterable<Buffer>, release: () => void): Download {
  const body = Readable.from(source, { objectMode: false, highWaterMark: 256 * 1024 });
  body.once("close", release);
  const bytes = async (): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of body) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  };
  return {
    info,
    start: span.start,
    end: span.end,
    body,
    bytes,
    text: async () => (await bytes()).toString("utf8"),
  };
}
