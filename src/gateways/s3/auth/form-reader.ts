import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BusboyInstance } from "@fastify/busboy";
import { GfsError } from "../../../core/errors.ts";
import { s3Error } from "../wire/errors.ts";

/** A `multipart/form-data` body up to its file, and then the file as it comes. RFC 7578, as browsers and SDKs send it. */
export interface ComingForm {
  /** By lower-case name; the file is none of them. */
  readonly fields: ReadonlyMap<string, string>;
  /** Without the directories that some browsers send. */
  readonly fileName: string;
  /** What follows the file is of no meaning, and is read to its end. */
  readonly file: AsyncGenerator<Buffer>;
}

const MAX_FIELDS_BYTES = 20 * 1024;
const MAX_FIELDS = 100;
/** The fields with all that stands around them. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Never cut: more than this is refused as too long a head. */
const MAX_PART_HEADER_BYTES = 2 * MAX_HEAD_BYTES;

export function isForm(contentType: string | undefined): contentType is string {
  return contentType !== undefined && /^multipart\/form-data\s*(?:;|$)/i.test(contentType);
}

/** Ends when the file begins. Of the file no more is taken than fits into small buffers, until somebody reads it. */
export async function readForm(source: AsyncIterable<Buffer>, contentType: string): Promise<ComingForm> {
  const parser = await parserOf(contentType);
  const fields = new Map<string, string>();
  let leftBytes = MAX_FIELDS_BYTES;
  let hasFile = false;
  const bounded = async function* (): AsyncGenerator<Buffer> {
    let sizeBytes = 0;
    for await (const chunk of source) {
      if (!hasFile && sizeBytes > MAX_HEAD_BYTES) throw tooManyFields();
      sizeBytes += chunk.byteLength;
      yield chunk;
    }
  };
  const keep = (name: string | undefined, value: string, isCut: boolean): void => {
    if (name === undefined || name === "") throw malformedForm("a part has no name");
    leftBytes -= Buffer.byteLength(value) + name.length;
    if (isCut || leftBytes < 0) throw tooManyFields();
    const key = name.toLowerCase();
    if (fields.has(key)) throw malformedForm(`the field ${name.slice(0, 100)} came twice`);
    fields.set(key, value);
  };
  return await new Promise<ComingForm>((resolve, reject) => {
    parser.on("field", (name: string | undefined, value, _, isCut) => {
      if (hasFile || parser.destroyed) return;
      try {
        keep(name, value, isCut);
      } catch (error) {
        // Some fields are told in a turn of their own, where nobody would catch it.
        parser.destroy(error as Error);
      }
    });
    parser.on("fieldsLimit", () => {
      if (!hasFile) parser.destroy(tooManyFields());
    });
    parser.on("file", (_, stream, fileName: string | undefined) => {
      // The rest of a piece in which something was wrong is still told.
      if (parser.destroyed) return;
      hasFile = true;
      // Also while nobody reads it, or nobody ever does: an error without a listener would end the process.
      stream.on("error", ignore);
      whole.catch((error) => stream.destroy(error as Error));
      resolve({ fields, fileName: (fileName ?? "").replaceAll("%22", '"'), file: fileOf(stream, whole) });
    });
    const whole = pipeline(bounded, parser).catch(rethrow);
    whole.then(() => reject(withoutFile()), reject);
  });
}

async function* fileOf(stream: Readable, whole: Promise<void>): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    rethrow(error);
  }
  await whole;
}

async function parserOf(contentType: string): Promise<BusboyInstance> {
  // In a bundle all exports stand under this one.
  const { Busboy } = (await import("@fastify/busboy")).default;
  try {
    return new Busboy({
      headers: { "content-type": contentType },
      isPartAFile: (name) => name?.toLowerCase() === "file",
      limits: { fieldSize: MAX_FIELDS_BYTES, fields: MAX_FIELDS, files: 1, headerSize: MAX_PART_HEADER_BYTES },
    });
  } catch {
    throw malformedForm("its boundary is missing or too long");
  }
}

const ignore = (): void => undefined;

/** All that the parser itself has to say is that something is missing. */
function rethrow(error: unknown): never {
  throw error instanceof GfsError ? error : malformedForm("it ends before its last boundary");
}

function withoutFile(): GfsError {
  return s3Error("InvalidArgument", "InvalidArgument", "POST requires exactly one file upload per request.");
}

function malformedForm(what: string): GfsError {
  return s3Error(
    "InvalidArgument",
    "MalformedPOSTRequest",
    `The body of your POST request is not well-formed multipart/form-data: ${what}.`,
  );
}

function tooManyFields(): GfsError {
  return s3Error(
    "InvalidArgument",
    "MaxPostPreDataLengthExceededError",
    "Your POST request fields preceding the upload file were too large.",
  );
}
