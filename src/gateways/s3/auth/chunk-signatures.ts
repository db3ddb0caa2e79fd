import { createHash, type Hash, timingSafeEqual } from "node:crypto";
import { EMPTY_SHA256, signatureOf } from "../../../core/sigv4.ts";
import { signatureDoesNotMatch } from "./failures.ts";
import type { Signed } from "./verify.ts";

export interface Seed extends Signed {
  readonly accessKeyId: string;
  readonly amzDate: string;
  /** Of the request's headers: the first link. */
  readonly signature: string;
}

/**
 * Each chunk's signature covers its bytes and the signature before it, so that none can be changed, left out or moved.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
export class ChunkSignatures {
  readonly #seed: Seed;
  #previous: string;
  #hash: Hash | undefined;
  #claimed = "";

  constructor(seed: Seed) {
    this.#seed = seed;
    this.#previous = seed.signature;
  }

  begin(signature: string): void {
    this.#claimed = signature;
    this.#hash = createHash("sha256");
  }

  update(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
  }

  end(): void {
    const { amzDate, scope } = this.#seed;
    const digest = (this.#hash as Hash).digest("hex");
    this.#compare(
      `AWS4-HMAC-SHA256-PAYLOAD\n${amzDate}\n${scope}\n${this.#previous}\n${EMPTY_SHA256}\n${digest}`,
      this.#claimed,
    );
  }

  /** `lines` are the trailers as `name:value` with a line feed each. */
  checkTrailer(lines: string, signature: string): void {
    const { amzDate, scope } = this.#seed;
    const digest = createHash("sha256").update(lines).digest("hex");
    this.#compare(`AWS4-HMAC-SHA256-TRAILER\n${amzDate}\n${scope}\n${this.#previous}\n${digest}`, signature);
  }

  #compare(text: string, claimed: string): void {
    const signature = signatureOf(this.#seed.signingKey, text);
    const right = Buffer.from(signature, "latin1");
    const given = Buffer.from(claimed, "latin1");
    if (right.byteLength !== given.byteLength || !timingSafeEqual(right, given)) {
      throw signatureDoesNotMatch(this.#seed.accessKeyId);
    }
    this.#previous = signature;
  }
}
