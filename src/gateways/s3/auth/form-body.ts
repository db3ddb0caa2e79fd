import { createHash, timingSafeEqual } from "node:crypto";
import { type ChecksumName, createChecksum } from "../../../core/checksums.ts";
import { GfsError } from "../../../core/errors.ts";
import type { ContentChecksum } from "../../../namespace/types.ts";
import { s3Error } from "../wire/errors.ts";
import type { RequestBody } from "../wire/request.ts";
import { badDigest } from "./failures.ts";

/** What a form says beside its file. */
export interface PostForm {
  /** By lower-case name, with the variables in `key` filled in. */
  readonly fields: ReadonlyMap<string, string>;
}

export interface FileChecks {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly md5Hex?: string;
  readonly checksum?: { readonly algorithm: ChecksumName; readonly value: string };
}

/** The file of a form as the body of the request. */
export class FormBody implements RequestBody {
  readonly form: PostForm;
  readonly sizeBytes = undefined;
  readonly expected: RequestBody["expected"];
  readonly #file: AsyncIterable<Buffer>;
  readonly #checks: FileChecks;
  #taken = false;
  #checksum: ContentChecksum | undefined;

  constructor(form: PostForm, file: AsyncIterable<Buffer>, checks: FileChecks) {
    this.form = form;
    this.#file = file;
    this.#checks = checks;
    this.expected = checks.md5Hex === undefined ? {} : { md5Hex: checks.md5Hex };
  }

  checksum(): ContentChecksum | undefined {
    return this.#checksum;
  }

  stream(): AsyncIterable<Uint8Array> {
    if (this.#taken) throw new GfsError("Internal", "The body of a request can be read once only.");
    this.#taken = true;
    return this.#checked();
  }

  async readAll(limitBytes: number): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.stream()) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > limitBytes) throw tooLarge(limitBytes);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, sizeBytes);
  }

  async *#checked(): AsyncGenerator<Uint8Array> {
    const { minBytes, maxBytes, md5Hex, checksum } = this.#checks;
    const md5 = md5Hex === undefined ? undefined : createHash("md5");
    const sum = checksum === undefined ? undefined : createChecksum(checksum.algorithm);
    let sizeBytes = 0;
    for await (const chunk of this.#file) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
      md5?.update(chunk);
      sum?.update(chunk);
      yield chunk;
    }
    if (sizeBytes < minBytes) {
      throw s3Error(
        "InvalidArgument",
        "EntityTooSmall",
        "Your proposed upload is smaller than the minimum allowed size.",
        { ProposedSize: sizeBytes, MinSizeAllowed: minBytes },
      );
    }
    if (md5 !== undefined && !timingSafeEqual(md5.digest(), Buffer.from(md5Hex as string, "hex"))) {
      throw badDigest("Content-MD5");
    }
    if (sum === undefined || checksum === undefined) return;
    const value = sum.digest();
    if (value !== checksum.value) throw badDigest(checksum.algorithm);
    this.#checksum = { algorithm: checksum.algorithm, kind: "full", value };
  }
}

/** Undefined where the request was no form. */
export function formOf(body: RequestBody): PostForm | undefined {
  return body instanceof FormBody ? body.form : undefined;
}

function tooLarge(maxBytes: number): GfsError {
  return s3Error("InvalidArgument", "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.", {
    MaxSizeAllowed: maxBytes,
  });
}
