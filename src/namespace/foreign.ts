import type { VersionId } from "../core/ids.ts";
import { readDescribed } from "./described.ts";
import type { Copy, FileVersion, ForeignObject } from "./types.ts";

/** What an object that the catalog does not know becomes when it is taken in. */

const VERSION_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const RESERVED_METADATA = "globalfs-";

export function versionOf(object: ForeignObject, copies: readonly Copy[], freshId: VersionId): FileVersion {
  const writtenId = object.metadata["globalfs-version"];
  const details = writtenId === undefined ? undefined : readDescribed(object.metadata);
  return {
    id: writtenId !== undefined && VERSION_ID.test(writtenId) ? (writtenId as VersionId) : freshId,
    sizeBytes: object.sizeBytes,
    etag: shownEtag(object),
    metadata: userMetadata(object.metadata),
    createdMs: object.modifiedMs,
    copies,
    ...(object.sha256 === undefined ? {} : { sha256: object.sha256 }),
    ...(object.contentType === undefined ? {} : { contentType: object.contentType }),
    ...(details === undefined ? {} : { details }),
  };
}

/** 32 hex digits would be taken for an MD5, so a checksum of another kind carries `-1`, as a multipart ETag does. */
export function etagOf(sha256Hex: string): string {
  return `${sha256Hex.slice(0, 32)}-1`;
}

export function shownEtag(object: ForeignObject): string {
  return object.metadata["globalfs-etag"] ?? (object.sha256 === undefined ? object.etag : etagOf(object.sha256));
}

export function userMetadata(stored: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(stored);
  if (!names.some((name) => name.startsWith(RESERVED_METADATA))) return stored;
  return Object.fromEntries(
    names.filter((name) => !name.startsWith(RESERVED_METADATA)).map((name) => [name, stored[name] as string]),
  );
}

/** Whether two sites hold the same content for sure. */
export function sameContent(one: ForeignObject, other: ForeignObject): boolean {
  if (one === other) return true;
  if (one.sizeBytes !== other.sizeBytes) return false;
  return one.sha256 !== undefined ? one.sha256 === other.sha256 : one.etag === other.etag;
}
