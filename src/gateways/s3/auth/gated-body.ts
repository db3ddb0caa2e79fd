import { createHash, type Hash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Checksum, type ChecksumName, createChecksum, isChecksumValue } from "../../../core/checksums.ts";
import { GfsError } from "../../../core/errors.ts";
import type { ContentChecksum } from "../../../namespace/types.ts";
import { incomingBody, type Pace } from "../../http/index.ts";
import { s3Error } from "../wire/errors.ts";
import type { RequestBody, StreamOptions } from "../wire/request.ts";
import { ChunkParser } from "./chunk-parser.ts";
import { ChunkSignatures, type Seed } from "./chunk-signatures.ts";
import {
  badDigest,
  contentSha256Mismatch,
  incompleteBody,
  malformedTrailer,
  missingContentLength,
} from "./failures.ts";
import { ALGORITHM_OF_HEADER, type Payload } from "./payload.ts";

export interface GatedBodyDeps {
  readonly http: IncomingMessage;
  readonly response: ServerResponse;
  readonly payload: Payload;
  /** Where chunks are signed. */
  readonly seed: Seed | undefined;
  readonly pace: Pace;
  /** Within which the body has to come. */
  readonly deadlineMs?: number | undefined;
}

/** A body that lets its bytes through as they come and ends with an error when they were not what was promised. */
export class GatedBody implements RequestBody {
  readonly #deps: GatedBodyDeps;
  readonly expected: RequestBody["expected"];
  #taken = false;
  #checksum: ContentChecksum | undefined;

  constructor(deps: GatedBodyDeps) {
    this.#deps = deps;
    const { md5Hex, sha256Hex } = deps.payload;
    this.expected = {
      ...(md5Hex === undefined ? {} : { md5Hex }),
      ...(sha256Hex === undefined ? {} : { sha256Hex }),
    };
  }

  get sizeBytes(): number | undefined {
    return this.#deps.payload.sizeBytes;
  }

  checksum(): ContentChecksum | undefined {
    return this.#checksum;
  }

  stream(options: StreamOptions = {}): AsyncIterable<Uint8Array> {
    const { http } = this.#deps;
    const isFramed = http.headers["content-length"] !== undefined || http.headers["transfer-encoding"] !== undefined;
    if (!isFramed && (http.method === "PUT" || http.method === "POST")) {
      throw missingContentLength("You must provide the Content-Length HTTP header.");
    }
    return this.#open(options.callerChecks === true);
  }

  async readAll(limitBytes: number): Promise<Buffer> {
    if ((this.sizeBytes ?? 0) > limitBytes) throw tooLarge(limitBytes);
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.#open(false)) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > limitBytes) throw tooLarge(limitBytes);
      chunks.push(chunk);
    }
    return chunks.length === 1
      ? Buffer.from((chunks[0] as Uint8Array).buffer, chunks[0]?.byteOffset, sizeBytes)
      : Buffer.concat(chunks, sizeBytes);
  }

  #open(callerChecks: boolean): AsyncGenerator<Uint8Array> {
    if (this.#taken) throw new GfsError("Internal", "The body of a request can be read once only.");
    this.#taken = true;
    const { http, response, pace, deadlineMs, payload } = this.#deps;
    const wire = incomingBody(http, {
      ...pace,
      ...(deadlineMs === undefined ? {} : { deadline: { atMs: performance.now() + deadlineMs } }),
      onFirstRead: () => {
        if (http.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
      },
    });
    const checks = new BodyChecks(payload, callerChecks);
    return payload.framing === "plain" ? this.#plain(wire, checks) : this.#chunked(wire, checks);
  }

  async *#plain(wire: AsyncIterable<Buffer>, checks: BodyChecks): AsyncGenerator<Uint8Array> {
    const { checksum } = this.#deps.payload;
    for await (const chunk of wire) {
      checks.update(chunk);
      yield chunk;
    }
    this.#checksum = checks.finish(checksum?.value);
  }

  async *#chunked(wire: AsyncIterable<Buffer>, checks: BodyChecks): AsyncGenerator<Uint8Array> {
    const { payload, seed } = this.#deps;
    const signed = payload.framing !== "unsigned-chunks-trailer";
    if (signed && seed === undefined)
      throw new GfsError("Internal", "Signed chunks need the signature of their request.");
    const signatures = seed === undefined || !signed ? undefined : new ChunkSignatures(seed);
    const trailers = new Trailers(payload.trailer, signatures);
    let ready: Buffer[] = [];
    const parser = new ChunkParser(
      { sizeBytes: payload.sizeBytes as number, signed, trailers: payload.framing !== "signed-chunks" },
      {
        begin: (_sizeBytes, signature) => signatures?.begin(signature as string),
        data: (bytes) => {
          signatures?.update(bytes);
          ready.push(bytes);
        },
        end: () => signatures?.end(),
        trailer: (name, value) => trailers.take(name, value),
      },
    );
    for await (const piece of wire) {
      parser.write(piece);
      for (const bytes of ready) {
        checks.update(bytes);
        yield bytes;
      }
      ready = [];
    }
    parser.finish();
    this.#checksum = checks.finish(trailers.finish() ?? payload.checksum?.value);
  }
}

/** What stands behind the last chunk: the checksum that was announced, and its signature where chunks are signed. */
class Trailers {
  readonly #expected: ChecksumName | undefined;
  readonly #signatures: ChunkSignatures | undefined;
  #value: string | undefined;
  #lines = "";
  #isSigned = false;

  constructor(expected: ChecksumName | undefined, signatures: ChunkSignatures | undefined) {
    this.#expected = expected;
    this.#signatures = signatures;
  }

  take(name: string, value: string): void {
    if (name === "x-amz-trailer-signature") {
      if (this.#signatures === undefined || this.#isSigned)
        throw malformedTrailer("A trailer signature stands where none belongs.");
      this.#signatures.checkTrailer(this.#lines, value);
      this.#isSigned = true;
      return;
    }
    const algorithm = ALGORITHM_OF_HEADER[name];
    if (this.#isSigned || algorithm === undefined || algorithm !== this.#expected || this.#value !== undefined) {
      throw malformedTrailer("A trailer came that x-amz-trailer does not announce.");
    }
    if (!isChecksumValue(algorithm, value)) throw malformedTrailer(`Value for ${name} trailing header is invalid.`);
    this.#lines += `${name}:${value}\n`;
    this.#value = value;
  }

  finish(): string | undefined {
    if (this.#expected !== undefined && this.#value === undefined) {
      throw malformedTrailer("The trailer that x-amz-trailer announces did not come.");
    }
    if (this.#signatures !== undefined && this.#value !== undefined && !this.#isSigned) {
      throw malformedTrailer("The trailers have no signature.");
    }
    return this.#value;
  }
}

/** Computes what the headers promised of the decoded body, all in one pass. */
class BodyChecks {
  readonly #payload: Payload;
  readonly #sha256: Hash | undefined;
  readonly #md5: Hash | undefined;
  readonly #sum: Checksum | undefined;
  #sizeBytes = 0;

  constructor(payload: Payload, callerChecks: boolean) {
    this.#payload = payload;
    if (!callerChecks && payload.sha256Hex !== undefined) this.#sha256 = createHash("sha256");
    if (!callerChecks && payload.md5Hex !== undefined) this.#md5 = createHash("md5");
    const algorithm = payload.checksum?.algorithm ?? payload.trailer;
    if (algorithm !== undefined) this.#sum = createChecksum(algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.byteLength;
    this.#sha256?.update(bytes);
    this.#md5?.update(bytes);
    this.#sum?.update(bytes);
  }

  finish(expectedSum: string | undefined): ContentChecksum | undefined {
    const { sizeBytes, sha256Hex, md5Hex } = this.#payload;
    if (sizeBytes !== undefined && this.#sizeBytes !== sizeBytes) {
      throw incompleteBody("You did not provide the number of bytes specified by the Content-Length HTTP header.");
    }
    if (this.#sha256 !== undefined && !same(this.#sha256.digest("hex"), sha256Hex as string)) {
      throw contentSha256Mismatch();
    }
    if (this.#md5 !== undefined && !same(this.#md5.digest("hex"), md5Hex as string)) throw badDigest("Content-MD5");
    if (this.#sum === undefined) return undefined;
    const { algorithm } = this.#sum;
    const value = this.#sum.digest();
    if (expectedSum === undefined || !same(value, expectedSum)) throw badDigest(algorithm);
    return { algorithm, kind: "full", value };
  }
}

function same(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one, "latin1"), Buffer.from(other, "latin1"));
}

function tooLarge(limitBytes: number): GfsError {
  return s3Error("TooLarge", "MaxMessageLengthExceeded", `Your request was too big: at most ${limitBytes} bytes.`);
}
