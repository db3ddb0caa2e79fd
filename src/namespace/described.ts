import type { ChecksumAlgorithm, ContentChecksum, ContentHeaders, VersionDetails } from "./types.ts";

/**
 * What of a version's details goes along with its bytes to the sites, so that it is not lost with the catalog: what the writer said once and for
 * all. Labels may change and are not written.
 */

export const HEADERS_NAME = "globalfs-headers";
export const OWNER_NAME = "globalfs-owner";
export const CHECKSUM_NAME = "globalfs-checksum";

const HEADER_NAMES = [
  "cacheControl",
  "contentDisposition",
  "contentEncoding",
  "contentLanguage",
  "expires",
  "websiteRedirect",
] as const satisfies readonly (keyof ContentHeaders)[];
const ALGORITHMS: readonly ChecksumAlgorithm[] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

export function encodeHeaders(headers: ContentHeaders): string {
  return new URLSearchParams(Object.entries(headers) as [string, string][]).toString();
}

export function encodeChecksum({ algorithm, kind, value }: ContentChecksum): string {
  return `${algorithm}:${kind}:${value}`;
}

/** What cannot be read is left out: another tool may have written it. */
export function readDescribed(metadata: Readonly<Record<string, string>>): VersionDetails | undefined {
  const contentHeaders = decodeHeaders(metadata[HEADERS_NAME]);
  const checksum = decodeChecksum(metadata[CHECKSUM_NAME]);
  const owner = decodeOwnerName(metadata[OWNER_NAME]);
  if (contentHeaders === undefined && checksum === undefined && owner === undefined) return undefined;
  return {
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(owner === undefined ? {} : { owner }),
  };
}

function decodeOwnerName(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function decodeHeaders(text: string | undefined): ContentHeaders | undefined {
  const found = new URLSearchParams(text);
  const headers: { -readonly [Field in keyof ContentHeaders]: ContentHeaders[Field] } = {};
  for (const name of HEADER_NAMES) {
    const value = found.get(name);
    if (value !== null) headers[name] = value;
  }
  return Object.keys(headers).length === 0 ? undefined : headers;
}

function decodeChecksum(text: string | undefined): ContentChecksum | undefined {
  const [name, kind, value] = text?.split(":") ?? [];
  const algorithm = ALGORITHMS.find((each) => each === name);
  if (algorithm === undefined || value === undefined || (kind !== "full" && kind !== "composite")) return undefined;
  return { algorithm, kind, value };
}
