import { incompleteBody, invalidRequest, malformedTrailer } from "./failures.ts";

/**
 * Takes `aws-chunked` framing apart, without copying: `SIZE[;chunk-signature=SIGNATURE]\r\n`, so many bytes, `\r\n`, and so on; a chunk of
 * no bytes ends the body, and trailers may follow. Every length is bounded, and nothing may follow the end.
 */
export interface ChunkSink {
  /** A chunk begins; the last has no bytes. */
  begin(sizeBytes: number, signature: string | undefined): void;
  data(bytes: Buffer): void;
  /** The chunk's bytes have all been given. */
  end(): void;
  trailer(name: string, value: string): void;
}

export interface ChunkRules {
  readonly sizeBytes: number;
  readonly signed: boolean;
  readonly trailers: boolean;
}

/** 15 hex digits and a signature fit with room to spare. */
const LONGEST_LINE = 256;
const MAX_TRAILERS = 8;
const MAX_EMPTY_LINES = 2;
const LF = 0x0a;
const CR = 0x0d;
const HEADER = /^([0-9a-fA-F]{1,13})(?:;chunk-signature=([0-9a-f]{64}))?$/;
const TRAILER = /^([A-Za-z0-9-]{1,64}):[ \t]*([\x21-\x7e]{1,128})[ \t]*$/;

type State = "header" | "data" | "data-end" | "trailers" | "done";

export class ChunkParser {
  readonly #rules: ChunkRules;
  readonly #sink: ChunkSink;
  #state: State = "header";
  #line = "";
  /** Of the chunk that is being read. */
  #left = 0;
  #total = 0;
  #trailers = 0;
  #emptyLines = 0;
  #sawTrailerSignature = false;

  constructor(rules: ChunkRules, sink: ChunkSink) {
    this.#rules = rules;
    this.#sink = sink;
  }

  write(bytes: Buffer): void {
    let offset = 0;
    while (offset < bytes.byteLength) {
      if (this.#state === "data") {
        const end = Math.min(offset + this.#left, bytes.byteLength);
        this.#sink.data(bytes.subarray(offset, end));
        this.#left -= end - offset;
        offset = end;
        if (this.#left === 0) this.#state = "data-end";
        continue;
      }
      if (this.#state === "done") throw invalidRequest("Bytes follow the end of the chunked body.");
      const end = bytes.indexOf(LF, offset);
      const stop = end === -1 ? bytes.byteLength : end + 1;
      if (this.#line.length + (stop - offset) > LONGEST_LINE) throw malformedChunk("a line of it is too long");
      this.#line += bytes.toString("latin1", offset, stop);
      offset = stop;
      if (end === -1) return;
      const line = this.#line;
      this.#line = "";
      this.#take(line);
    }
  }

  /** The body has come to its end on the wire. */
  finish(): void {
    if (this.#line !== "") throw incompleteBody("The chunked body ends within a line.");
    // Some clients leave out the empty line behind the trailers, and it says nothing.
    if (this.#state === "done" || (this.#state === "trailers" && this.#trailers + this.#emptyLines > 0)) return;
    throw incompleteBody("The chunked body ends before its last chunk.");
  }

  #take(line: string): void {
    if (this.#state === "trailers") {
      this.#takeTrailer(line.charCodeAt(line.length - 2) === CR ? line.slice(0, -2) : line.slice(0, -1));
      return;
    }
    if (line.charCodeAt(line.length - 2) !== CR)
      throw malformedChunk("its lines end in a carriage return and a line feed");
    const text = line.slice(0, -2);
    if (this.#state === "data-end") {
      if (text !== "") throw malformedChunk("a chunk is longer than it says");
      this.#sink.end();
      this.#state = "header";
      return;
    }
    this.#takeHeader(text);
  }

  #takeHeader(text: string): void {
    const match = HEADER.exec(text);
    if (match === null) throw malformedChunk("a chunk begins with its size in hex digits and its signature");
    const [, digits = "", signature] = match;
    if (this.#rules.signed !== (signature !== undefined)) {
      throw malformedChunk(
        this.#rules.signed ? "a chunk has no signature" : "a chunk has a signature, but none was announced",
      );
    }
    const sizeBytes = Number.parseInt(digits, 16);
    this.#total += sizeBytes;
    if (this.#total > this.#rules.sizeBytes) {
      throw incompleteBody("The chunks hold more bytes than x-amz-decoded-content-length says.");
    }
    if (sizeBytes === 0 && this.#total < this.#rules.sizeBytes) {
      throw incompleteBody("The chunks hold fewer bytes than x-amz-decoded-content-length says.");
    }
    this.#sink.begin(sizeBytes, signature);
    this.#left = sizeBytes;
    if (sizeBytes > 0) {
      this.#state = "data";
      return;
    }
    this.#sink.end();
    this.#state = "trailers";
  }

  #takeTrailer(line: string): void {
    if (line === "") {
      this.#emptyLines += 1;
      // In the form with signatures a line break may stand between the trailers and theirs.
      const waits = this.#rules.trailers && this.#rules.signed && this.#trailers > 0 && !this.#sawTrailerSignature;
      if (!waits) this.#state = "done";
      else if (this.#emptyLines > MAX_EMPTY_LINES) throw malformedTrailer("The trailers have no signature.");
      return;
    }
    if (!this.#rules.trailers) throw invalidRequest("Trailers follow the body, but none were announced.");
    const match = TRAILER.exec(line);
    this.#trailers += 1;
    if (match === null || this.#trailers > MAX_TRAILERS) {
      throw malformedTrailer(
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
      );
    }
    const name = (match[1] as string).toLowerCase();
    if (name === "x-amz-trailer-signature") this.#sawTrailerSignature = true;
    this.#sink.trailer(name, match[2] as string);
  }
}

function malformedChunk(what: string): Error {
  return invalidRequest(`The chunked body is malformed: ${what}.`);
}
