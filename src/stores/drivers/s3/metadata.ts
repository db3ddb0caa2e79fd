/** User metadata as `x-amz-meta-` headers, and the checksum of the whole content among them. */
import { emptyRecord } from "../../../core/record.ts";
import { GfsError } from "../../../core/errors.ts";
import { decodeHeaderText, encodeHeaderText } from "../remote/header-text.ts";

const PREFIX = "x-amz-meta-";
/** Where the SHA-256 of the whole content is kept. */
export const SHA256_NAME = "globalfs-sha256";

const TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
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
    headers[PREFIX + name] = encodeHeaderText(value);
  }
  if (sha256 !== undefined) headers[PREFIX + SHA256_NAME] = sha256;
  return headers;
}

export interface ReadMetadata {
  readonly metadata: Readonly<Record<string, string>>;
  readonly sha256?: string;
}

export function readMetadata(headers: Readonly<Record<string, string | string[] | undefined>>): ReadMetadata {
  const metadata = emptyRecord<string>();
  let sha256: string | undefined;
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(PREFIX) || value === undefined) continue;
    const text = decodeHeaderText(Array.isArray(value) ? value.join(",") : value);
    const short = name.slice(PREFIX.length);
    if (short !== SHA256_NAME) metadata[short] = text;
    else if (SHA256.test(text)) sha256 = text;
  }
  return sha256 === undefined ? { metadata } : { metadata, sha256 };
}
