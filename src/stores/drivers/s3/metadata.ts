/**
 * User metadata as `x-amz-meta-` headers. Values that a header can not carry as they are (not printable ASCII, or with
 * white space at the ends) travel as one RFC 2047 word, `=?UTF-8?B?base64?=`, the form that AWS itself uses in answers;
 * so do values that look like such a word, so that every value comes back as it was.
 */
import { GfsError } from "../../../core/errors.ts";

const PREFIX = "x-amz-meta-";
/** Where the SHA-256 of the whole content is kept. */
export const SHA256_NAME = "globalfs-sha256";

const PLAIN = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;
const TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const WORD = /=\?UTF-8\?([BQ])\?([^?]*)\?=/gi;
const SHA256 = /^[0-9a-f]{64}$/;

export function metadataHeaders(
  metadata: Readonly<Record<string, string>> | undefined,
  sha256: string | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata ?? {})) {
    if (!TOKEN.test(name) || name === SHA256_NAME) {
      throw new GfsError(
        "InvalidArgument",
        `Metadata can not be named "${name}": use lower-case letters, digits and dashes.`,
        {
          op: "s3.metadata",
        },
      );
    }
    headers[PREFIX + name] = encodeMetadataValue(value);
  }
  if (sha256 !== undefined) headers[PREFIX + SHA256_NAME] = sha256;
  return headers;
}

export interface ReadMetadata {
  readonly metadata: Readonly<Record<string, string>>;
  readonly sha256?: string;
}

export function readMetadata(headers: Readonly<Record<string, string | string[] | undefined>>): ReadMetadata {
  const metadata: Record<string, string> = {};
  let sha256: string | undefined;
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(PREFIX) || value === undefined) continue;
    const text = decodeMetadataValue(Array.isArray(value) ? value.join(",") : value);
    const short = name.slice(PREFIX.length);
    if (short !== SHA256_NAME) metadata[short] = text;
    else if (SHA256.test(text)) sha256 = text;
  }
  return sha256 === undefined ? { metadata } : { metadata, sha256 };
}

export function encodeMetadataValue(value: string): string {
  if (PLAIN.test(value) && !value.includes("=?")) return value;
  return `=?UTF-8?B?${Buffer.from(value).toString("base64")}?=`;
}

export function decodeMetadataValue(value: string): string {
  if (!value.includes("=?")) return value;
  // White space between two words belongs to the encoding (RFC 2047 section 6.2).
  return value.replace(/\?=\s+=\?/g, "?==?").replace(WORD, (_word, encoding: string, text: string) => {
    if (encoding.toUpperCase() === "B") return Buffer.from(text, "base64").toString();
    const bytes = text
      .replaceAll("_", " ")
      .replace(/=([0-9A-F]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return Buffer.from(bytes, "latin1").toString();
  });
}
