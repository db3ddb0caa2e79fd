/**
 * Attributes of objects as Azure keeps them. Names of metadata must be C# identifiers there: whatever is not a letter or
 * a digit, and a digit at the beginning, becomes `_` and its two hex digits. Values are written as in other headers.
 */
import { emptyRecord } from "../../../core/record.ts";
import { GfsError } from "../../../core/errors.ts";
import type { ETag, ObjectInfo, WriteAttributes, WriteConditions } from "../../store.ts";
import { decodeHeaderText, encodeHeaderText } from "../remote/header-text.ts";

const SHA256_NAME = "globalfs-sha256";
const TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const SHA256 = /^[0-9a-f]{64}$/;

export function azureMetadata(attributes: WriteAttributes, sha256: string | undefined): Record<string, string> {
  const metadata = emptyRecord<string>();
  for (const [name, value] of Object.entries(attributes.metadata ?? {})) {
    if (!TOKEN.test(name) || name === SHA256_NAME) {
      throw new GfsError(
        "InvalidArgument",
        `Metadata can not be named "${name}": use lower-case letters, digits and dashes.`,
        { op: "azure.metadata" },
      );
    }
    metadata[encodeName(name)] = encodeHeaderText(value);
  }
  if (sha256 !== undefined) metadata[encodeName(SHA256_NAME)] = sha256;
  return metadata;
}

interface BlobFacts {
  readonly etag?: string | undefined;
  readonly lastModified?: Date | undefined;
  readonly contentType?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

export function infoOf(key: string, sizeBytes: number, facts: BlobFacts): ObjectInfo {
  const metadata = emptyRecord<string>();
  let sha256: string | undefined;
  for (const [encoded, value] of Object.entries(facts.metadata ?? {})) {
    const name = decodeName(encoded.toLowerCase());
    const text = decodeHeaderText(value);
    if (name !== SHA256_NAME) metadata[name] = text;
    else if (SHA256.test(text)) sha256 = text;
  }
  return {
    key,
    sizeBytes,
    etag: bareEtag(facts.etag ?? ""),
    modifiedMs: facts.lastModified?.getTime() ?? 0,
    ...(facts.contentType === undefined || facts.contentType === "" ? {} : { contentType: facts.contentType }),
    metadata,
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

export function bareEtag(etag: string): ETag {
  return etag.replace(/^"(.*)"$/, "$1");
}

export function azureConditions(conditions: WriteConditions | undefined): { ifMatch?: string; ifNoneMatch?: string } {
  return {
    ...(conditions?.ifMatch === undefined ? {} : { ifMatch: `"${conditions.ifMatch}"` }),
    ...(conditions?.ifNoneMatch === undefined ? {} : { ifNoneMatch: conditions.ifNoneMatch }),
  };
}

function encodeName(name: string): string {
  return name.replace(/[^a-z0-9]|^[0-9]/g, (char) => `_${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function decodeName(encoded: string): string {
  const name = encoded.replace(/_([0-9a-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  // Names that other programs chose are left as they are.
  return encodeName(name) === encoded ? name : encoded;
}
