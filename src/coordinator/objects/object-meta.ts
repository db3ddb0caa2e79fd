import { emptyRecord } from "../../core/record.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import {
  CHECKSUM_NAME,
  type ContentChecksum,
  EMPTY_ETAG,
  encodeChecksum,
  encodeHeaders,
  etagOf,
  type FileRecord,
  type FileVersion,
  HEADERS_NAME,
  OWNER_NAME,
  readDescribed,
  shownEtag,
  userMetadata,
  type VersionDetails,
} from "../../namespace/index.ts";
import type { ObjectInfo, WriteAttributes } from "../../stores/index.ts";
import type { ObjectMeta } from "../service/service.ts";

/** How an object looks from outside, and what GlobalFS writes beside the user's metadata so that a catalog can be made again from the sites. */

const RESERVED_PREFIX = "globalfs-";
/** As S3 has it, names and values together. */
const MAX_USER_METADATA_BYTES = 2_048;
/** What a site may be given in all, ours included; S3 takes no more. */
const MAX_STORED_BYTES = 2_048;
/** Kept free for what is known only when the last byte has come: the ETag, the SHA-256 and the checksum. */
const LATE_BYTES = 220;
/** A longer path is left out, and the object's key tells it. */
const MAX_PATH_METADATA = 900;

export function describeFile(key: string, file: FileRecord): ObjectMeta {
  const version = file.version;
  if (version !== undefined) return describeVersion(key, version);
  return { key, sizeBytes: 0, etag: EMPTY_ETAG, modifiedMs: file.modified.ms, metadata: {}, versionId: "" };
}

export function describeVersion(key: string, version: FileVersion): ObjectMeta {
  return {
    key,
    sizeBytes: version.sizeBytes,
    etag: version.etag,
    modifiedMs: version.createdMs,
    metadata: version.metadata,
    versionId: version.id,
    ...(version.contentType === undefined ? {} : { contentType: version.contentType }),
    ...(version.sha256 === undefined ? {} : { sha256: version.sha256 }),
    ...(version.details === undefined ? {} : { details: version.details }),
  };
}

/** An object that a site lists and the catalog does not know. */
export function describeForeign(key: string, info: ObjectInfo): ObjectMeta {
  const details = info.metadata["globalfs-version"] === undefined ? undefined : readDescribed(info.metadata);
  return {
    key,
    sizeBytes: info.sizeBytes,
    etag: shownEtag(info),
    modifiedMs: info.modifiedMs,
    metadata: userMetadata(info.metadata),
    versionId: info.metadata["globalfs-version"] ?? "",
    ...(info.contentType === undefined ? {} : { contentType: info.contentType }),
    ...(info.sha256 === undefined ? {} : { sha256: info.sha256 }),
    ...(details === undefined ? {} : { details }),
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
  if (sizeBytes > MAX_USER_METADATA_BYTES) {
    throw new GfsError(
      "TooLarge",
      `The metadata has ${sizeBytes} bytes; names and values together may have ${MAX_USER_METADATA_BYTES}.`,
      { op: "coordinator.metadata", context: { s3: "MetadataTooLarge" } },
    );
  }
}

export interface Provenance {
  readonly path: FilePath;
  readonly version: string;
  readonly createdMs: number;
  /** Whose the file is that has it by then; absent: as a file that came by key. */
  readonly file?: BelongingFile | undefined;
  readonly details?: VersionDetails;
}

export type BelongingFile = Pick<FileRecord, "mode" | "uid" | "gid">;

const BY_KEY: BelongingFile = { mode: 0o644, uid: 0, gid: 0 };

/**
 * What goes along to the sites. What does not fit there is left out, the least needed last: the catalog has it all. `globalfs-left-out` says how many
 * of the user's names are missing.
 */
export function storedMetadata(
  user: Readonly<Record<string, string>>,
  from: Provenance,
): Readonly<Record<string, string>> {
  const stored = emptyRecord<string>();
  stored["globalfs-version"] = from.version;
  stored["globalfs-mtime"] = String(from.createdMs);
  const { mode, uid, gid } = from.file ?? BY_KEY;
  stored["globalfs-mode"] = mode.toString(8);
  if (uid !== 0 || gid !== 0) stored["globalfs-ids"] = `${uid}:${gid}`;
  const encodedPath = encodeURIComponent(from.path);
  const fits = encodedPath.length <= MAX_PATH_METADATA;
  const names = Object.keys(user);
  const { contentHeaders, owner } = from.details ?? {};
  if (names.length === 0 && contentHeaders === undefined && owner === undefined) {
    // Nothing that could be too much: the usual case.
    if (fits) stored["globalfs-path"] = encodedPath;
    return stored;
  }
  let room = MAX_STORED_BYTES - LATE_BYTES;
  for (const [name, value] of Object.entries(stored)) room -= costOf(name, value);
  const add = (name: string, value: string | undefined): boolean => {
    if (value === undefined) return true;
    const cost = costOf(name, value);
    if (cost > room) return false;
    stored[name] = value;
    room -= cost;
    return true;
  };
  if (fits) add("globalfs-path", encodedPath);
  room -= LEFT_OUT_BYTES;
  let leftOut = 0;
  for (const name of names) if (!add(name, user[name])) leftOut += 1;
  if (leftOut > 0) stored["globalfs-left-out"] = String(leftOut);
  add(HEADERS_NAME, contentHeaders === undefined ? undefined : encodeHeaders(contentHeaders));
  add(OWNER_NAME, owner === undefined ? undefined : encodeURIComponent(owner));
  return stored;
}

const LEFT_OUT_BYTES = 22;
// oxlint-disable-next-line no-control-regex -- what is not printable ASCII is what it looks for
const NOT_PLAIN = /[^\u0020-\u007e]/;

/** Values that are not plain ASCII grow on their way: S3 takes them as encoded words. */
function costOf(name: string, value: string): number {
  const bytes = Buffer.byteLength(value);
  return Buffer.byteLength(name) + (NOT_PLAIN.test(value) ? Math.ceil(bytes / 3) * 4 + 12 : bytes);
}

/** What is known only at the end of the body. */
export function lateMetadata(late: {
  readonly md5?: string | undefined;
  readonly checksum?: ContentChecksum | undefined;
}): Readonly<Record<string, string>> {
  const { md5, checksum } = late;
  return {
    ...(md5 === undefined ? {} : { "globalfs-etag": md5 }),
    ...(checksum === undefined ? {} : { [CHECKSUM_NAME]: encodeChecksum(checksum) }),
  };
}

/** What a copy that is made later carries: the same as if it had been written with the first. */
export function describeWrite(path: FilePath, version: FileVersion, file?: BelongingFile): WriteAttributes {
  const ownEtag = version.sha256 === undefined || version.etag !== etagOf(version.sha256);
  const metadata = storedMetadata(version.metadata, {
    path,
    version: version.id,
    createdMs: version.createdMs,
    file,
    ...(version.details === undefined ? {} : { details: version.details }),
  });
  return {
    metadata: {
      ...metadata,
      ...lateMetadata({ md5: ownEtag ? version.etag : undefined, checksum: version.details?.checksum }),
    },
    ...(version.contentType === undefined ? {} : { contentType: version.contentType }),
  };
}
