import { GfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import { etagOf, type FileRecord, type FileVersion, shownEtag, userMetadata } from "../namespace/index.ts";
import type { ObjectInfo, WriteAttributes } from "../stores/index.ts";
import type { ObjectMeta } from "./service.ts";

/** How an object looks from outside, and what GlobalFS writes beside the user's metadata so that a catalog can be made again from the sites. */

const RESERVED_PREFIX = "globalfs-";
/** S3 allows 2 KiB of user metadata in all; a longer path is left out, and the object's key tells it. */
const MAX_PATH_METADATA = 900;

export function describeFile(key: string, file: FileRecord): ObjectMeta {
  const version = file.version;
  if (version === undefined) {
    return { key, sizeBytes: 0, etag: EMPTY_ETAG, modifiedMs: file.modifiedMs, metadata: {}, versionId: "" };
  }
  return {
    key,
    sizeBytes: version.sizeBytes,
    etag: version.etag,
    modifiedMs: version.createdMs,
    metadata: version.metadata,
    versionId: version.id,
    ...(version.contentType === undefined ? {} : { contentType: version.contentType }),
    ...(version.sha256 === undefined ? {} : { sha256: version.sha256 }),
  };
}

/** The MD5 of nothing: what S3 shows for a directory marker. */
const EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e";

/** An object that a site lists and the catalog does not know. */
export function describeForeign(info: ObjectInfo): ObjectMeta {
  return {
    key: info.key,
    sizeBytes: info.sizeBytes,
    etag: shownEtag(info),
    modifiedMs: info.modifiedMs,
    metadata: userMetadata(info.metadata),
    versionId: info.metadata["globalfs-version"] ?? "",
    ...(info.contentType === undefined ? {} : { contentType: info.contentType }),
    ...(info.sha256 === undefined ? {} : { sha256: info.sha256 }),
  };
}

export function checkUserMetadata(metadata: Readonly<Record<string, string>>): void {
  let sizeBytes = 0;
  for (const [name, value] of Object.entries(metadata)) {
    if (name.startsWith(RESERVED_PREFIX)) {
      throw new GfsError(
        "InvalidArgument",
        `Metadata names that begin with ${RESERVED_PREFIX} are GlobalFS's own; choose another name than ${name}.`,
      );
    }
    sizeBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (sizeBytes > 1_024) {
    throw new GfsError("TooLarge", `The metadata has ${sizeBytes} bytes; names and values together may have 1,024.`);
  }
}

export interface Provenance {
  readonly path: FilePath;
  readonly version: string;
  readonly createdMs: number;
  readonly mode: number;
}

export function storedMetadata(
  user: Readonly<Record<string, string>>,
  from: Provenance,
): Readonly<Record<string, string>> {
  const encodedPath = encodeURIComponent(from.path);
  return {
    ...user,
    "globalfs-version": from.version,
    "globalfs-mtime": String(from.createdMs),
    "globalfs-mode": from.mode.toString(8),
    ...(encodedPath.length > MAX_PATH_METADATA ? {} : { "globalfs-path": encodedPath }),
  };
}

/** What a copy that is made later carries: the same as if it had been written with the first. */
export function describeWrite(path: FilePath, version: FileVersion): WriteAttributes {
  const ownEtag = version.sha256 === undefined || version.etag !== etagOf(version.sha256);
  const metadata = storedMetadata(version.metadata, {
    path,
    version: version.id,
    createdMs: version.createdMs,
    mode: DEFAULT_MODE,
  });
  return {
    metadata: ownEtag ? { ...metadata, "globalfs-etag": version.etag } : metadata,
    ...(version.contentType === undefined ? {} : { contentType: version.contentType }),
  };
}

const DEFAULT_MODE = 0o644;
