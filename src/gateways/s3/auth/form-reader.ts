import { s3Error } from "../wire/errors.ts";

/** The fields of a `multipart/form-data` body up to its file, and then the file as it comes. RFC 7578, as browsers and SDKs send it. */
export interface FormHead {
  /** By lower-case name; the file is none of them. */
  readonly fields: ReadonlyMap<string, string>;
  /** Without the directories that some browsers send. */
  readonly fileName: string;
}

const MAX_FIELDS_BYTES = 20 * 1024;
const MAX_FIELDS = 100;
const MAX_PART_HEADER_BYTES = 4 * 1024;
const LONGEST_BOUNDARY = 70;
const HEADER_END = Buffer.from("\r\n\r\n");

/** Undefined: it is no form at all. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (contentType === undefined || !/^multipart\/form-data\s*(?:;|$)/i.test(contentType)) return undefined;
  const match = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType);
  return match?.[1] ?? match?.[2] ?? "";
}

export class FormReader {
  readonly #source: AsyncIterator<Buffer>;
  readonly #delimiter: Buffer;
  /** Begins as if a line had ended, so that the first boundary is like all others. */
  #buffer: Buffer = Buffer.from("\r\n");
  #ended = false;

  constructor(source: AsyncIterator<Buffer>, boundary: string) {
    if (boundary === "" || boundary.length > LONGEST_BOUNDARY)
      throw malformedForm("its boundary is missing or too long");
    this.#source = source;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  }

  async readHead(): Promise<FormHead> {
    const fields = new Map<string, string>();
    let leftBytes = MAX_FIELDS_BYTES;
    await this.#skipToDelimiter();
    for (;;) {
      if (await this.#isLast()) {
        throw s3Error("InvalidArgument", "InvalidArgument", "POST requires exactly one file upload per request.");
      }
      const { name, fileName } = await this.#partHeader();
      if (name === "file") return { fields, fileName: lastComponent(fileName ?? "") };
      const value = await this.#field(leftBytes);
      leftBytes -= value.byteLength + name.length;
      if (leftBytes < 0) throw tooManyFields();
      if (fields.has(name)) throw malformedForm(`the field ${name.slice(0, 100)} came twice`);
      fields.set(name, value.toString("utf8"));
      if (fields.size > MAX_FIELDS) throw tooManyFields();
    }
  }

  /** After `readHead`. What follows the file is of no meaning and is read to its end. */
  async *file(): AsyncGenerator<Buffer> {
    for (;;) {
      const at = this.#buffer.indexOf(this.#delimiter);
      if (at !== -1) {
        if (at > 0) yield this.#buffer.subarray(0, at);
        this.#buffer = Buffer.alloc(0);
        while (await this.#more()) this.#buffer = Buffer.alloc(0);
        return;
      }
      // The delimiter may have begun.
      const safe = this.#buffer.byteLength - this.#delimiter.byteLength + 1;
      if (safe > 0) {
        yield this.#buffer.subarray(0, safe);
        this.#buffer = this.#buffer.subarray(safe);
      }
      await this.#mustHaveMore();
    }
  }

  async #skipToDelimiter(): Promise<void> {
    for (;;) {
      const at = this.#buffer.indexOf(this.#delimiter);
      if (at !== -1) {
        this.#buffer = this.#buffer.subarray(at + this.#delimiter.byteLength);
        return;
      }
      if (this.#buffer.byteLength > MAX_FIELDS_BYTES) throw malformedForm("it does not begin with its boundary");
      await this.#mustHaveMore();
    }
  }

  /** Behind a delimiter: two dashes end the form, a line break begins a part. */
  async #isLast(): Promise<boolean> {
    while (this.#buffer.byteLength < 2) await this.#mustHaveMore();
    const mark = this.#buffer.toString("latin1", 0, 2);
    if (mark === "--") return true;
    if (mark !== "\r\n") throw malformedForm("a boundary is followed by something else than a line break");
    return false;
  }

  async #partHeader(): Promise<{ readonly name: string; readonly fileName: string | undefined }> {
    let end = this.#buffer.indexOf(HEADER_END);
    while (end === -1) {
      if (this.#buffer.byteLength > MAX_PART_HEADER_BYTES) throw malformedForm("a part's header is too long");
      await this.#mustHaveMore();
      end = this.#buffer.indexOf(HEADER_END);
    }
    const text = this.#buffer.toString("utf8", 0, end);
    this.#buffer = this.#buffer.subarray(end + HEADER_END.byteLength);
    const disposition = /(?:^|\r\n)content-disposition:\s*form-data\s*(;[^\r\n]*)/i.exec(text)?.[1] ?? "";
    const name = parameter(disposition, "name");
    if (name === undefined || name === "") throw malformedForm("a part has no name");
    return { name: name.toLowerCase(), fileName: parameter(disposition, "filename") };
  }

  async #field(limitBytes: number): Promise<Buffer> {
    for (;;) {
      const at = this.#buffer.indexOf(this.#delimiter);
      if (at > limitBytes) throw tooManyFields();
      if (at !== -1) {
        const value = Buffer.from(this.#buffer.subarray(0, at));
        this.#buffer = this.#buffer.subarray(at + this.#delimiter.byteLength);
        return value;
      }
      if (this.#buffer.byteLength > limitBytes + this.#delimiter.byteLength) throw tooManyFields();
      await this.#mustHaveMore();
    }
  }

  async #mustHaveMore(): Promise<void> {
    if (!(await this.#more())) throw malformedForm("it ends before its last boundary");
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const { done, value } = await this.#source.next();
    if (done === true) {
      this.#ended = true;
      return false;
    }
    this.#buffer = this.#buffer.byteLength === 0 ? value : Buffer.concat([this.#buffer, value]);
    return true;
  }
}

function parameter(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;"]+))`, "i").exec(disposition);
  const quoted = match?.[1]?.replaceAll(/\\(["\\])/g, "$1").replaceAll(/%22/g, '"');
  return quoted ?? match?.[2];
}

function lastComponent(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

function malformedForm(what: string): Error {
  return s3Error(
    "InvalidArgument",
    "MalformedPOSTRequest",
    `The body of your POST request is not well-formed multipart/form-data: ${what}.`,
  );
}

function tooManyFields(): Error {
  return s3Error(
    "InvalidArgument",
    "MaxPostPreDataLengthExceededError",
    "Your POST request fields preceding the upload file were too large.",
  );
}
