import type { BlockSums } from "../core/block-sums.ts";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import type { Moment } from "../core/moment.ts";

/** What the catalog knows. `docs/formats.md` says how each of these lies in the KV. */

export type FileKind = "file" | "directory" | "symlink" | "fifo" | "socket" | "characterDevice" | "blockDevice";

/**
 * present: the site holds exactly this version's bytes, verified. foreign: adopted as found, not written by us.
 * pending: a job will bring them. stale: the site is known to hold other bytes under this key. failed: a job gave up; `reason` says why.
 */
export type CopyState = "present" | "foreign" | "pending" | "stale" | "failed";

/** An object at a site, or where one may lie. */
export interface ObjectPlace {
  readonly site: SiteName;
  readonly key: string;
  /** What the site calls the content, for `If-Match`; absent until it is there, and where nobody knows what lies there. */
  readonly etag?: string;
}

/** A version's bytes at one site: under the file's path, or under a key that nobody else has until they are published. */
export interface Copy extends ObjectPlace {
  readonly state: CopyState;
  /**
   * The file's own key, which is claimed for these bytes: a publish job brings them there. Until then older bytes of the file may lie under it, or nothing.
   */
  readonly home?: string;
  /** What those older bytes are called there; they are replaced, and whatever else comes there is not. Of a stale copy: what lies in its place. */
  readonly replaces?: string;
  readonly changedMs: number;
  /** One sentence, for states that wait or failed. */
  readonly reason?: string;
}

/** The immutable content of a file at one moment. Only `copies` moves. */
export interface FileVersion {
  readonly id: VersionId;
  readonly sizeBytes: number;
  /** What HTTP shows: a plain MD5 when one was computed, else 32 hex digits and `-1`, so that no client takes it for an MD5. */
  readonly etag: string;
  /** Hex; absent for adopted objects whose site kept none. */
  readonly sha256?: string;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdMs: number;
  readonly copies: readonly Copy[];
  /** Absent for adopted objects and for files that no S3 client wrote. */
  readonly details?: VersionDetails;
  /** Absent for adopted objects, and where the sum of the whole is that of its only block. */
  readonly blocks?: BlockSums;
}

/** What S3 clients say about an object beside its bytes. The first group never changes; labels may. */
export interface VersionDetails {
  readonly contentHeaders?: ContentHeaders;
  /** The checksum that the writer asked for. */
  readonly checksum?: ContentChecksum;
  /** Of all bytes, where the one that the writer asked for is of the parts' checksums: what copies are held against. */
  readonly wholeChecksum?: ContentChecksum;
  /** How many parts it was uploaded in; the row of its parts tells their sizes. */
  readonly partCount?: number;
  /** It was written while its bucket kept versions; S3 calls every other version `null`. */
  readonly versioned?: boolean;
  /** The user who wrote it. */
  readonly owner?: string;
  readonly labels?: VersionLabels;
}

/** Headers that come back as they were given. */
export interface ContentHeaders {
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly expires?: string;
  /** S3 has one class here; other names are refused, save this one. */
  readonly websiteRedirect?: string;
}

export type ChecksumAlgorithm = "CRC32" | "CRC32C" | "CRC64NVME" | "SHA1" | "SHA256";

export interface ContentChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Composite: the checksum of the parts' checksums, and their number. */
  readonly kind: "full" | "composite";
  /** Base64; a composite one ends in `-` and the number of parts. */
  readonly value: string;
}

/** What may change on a version without making a new one. */
export interface VersionLabels {
  readonly tags?: Readonly<Record<string, string>>;
  /** As the gateway that checks it wrote it. */
  readonly accessList?: string;
  readonly lock?: VersionLock;
}

export interface VersionLock {
  readonly retention?: Retention;
  readonly legalHold?: boolean;
}

export interface Retention {
  readonly mode: "governance" | "compliance";
  readonly untilMs: number;
}

/** One part of a version that was uploaded in parts. */
export interface VersionPart {
  readonly partNumber: number;
  readonly sizeBytes: number;
  readonly checksum?: string;
}

/** A bucket is a directory at the top of the tree with settings. A directory without settings has the defaults. */
export interface BucketSettings {
  readonly name: string;
  readonly createdMs: number;
  /** The user who made it; absent for directories that no S3 client made. */
  readonly owner?: string;
  readonly versioning: "off" | "enabled" | "suspended";
  /** Versions can be locked; once on, it stays on, and so do versions. */
  readonly objectLock: boolean;
  readonly defaultRetention?: { readonly mode: Retention["mode"]; readonly days: number };
  readonly lifecycle: readonly LifecycleRule[];
}

/** Checked by the gateway that took it; carried out by the leader. */
export interface LifecycleRule {
  readonly id: string;
  readonly enabled: boolean;
  readonly filter: {
    readonly prefix?: string;
    readonly tags?: Readonly<Record<string, string>>;
    readonly largerThanBytes?: number;
    readonly smallerThanBytes?: number;
  };
  readonly expireAfterDays?: number;
  readonly expireAtMs?: number;
  readonly removeLoneDeleteMarkers?: boolean;
  readonly noncurrentDays?: number;
  readonly noncurrentKept?: number;
  readonly abortUploadsAfterDays?: number;
}

/** An older version of a key, or the mark of a delete, in a bucket that keeps versions. */
export interface HistoryEntry {
  readonly path: FilePath;
  readonly versionId: VersionId;
  readonly versioned: boolean;
  readonly createdMs: number;
  readonly owner?: string;
  /** Absent for a delete marker. The inode holds the version and its copies; no name leads to it. */
  readonly file?: FileRecord;
}

/** What stat(2) tells of an inode, and how a directory hangs in the tree: one row, which nobody who moves bytes has to touch. */
export interface FileAttributes {
  readonly inode: Inode;
  readonly kind: FileKind;
  /** Permissions, set-user-id, set-group-id and sticky; the kind is not in it. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Names that lead here. None leads to the holder of an older version. Of a directory: two, and one for each directory in it. */
  readonly linkCount: number;
  /** Of a file that of its version, of a symlink that of its target, else 0. */
  readonly sizeBytes: number;
  readonly accessed: Moment;
  readonly modified: Moment;
  readonly changed: Moment;
  readonly created: Moment;
  /** Devices: the number, as the kernel that made it packed it. */
  readonly rdev?: number;
  /** Directories: made only because an object needed it; it goes when its last entry goes, as S3 users expect. */
  readonly implicit?: boolean;
  /** Where it hangs, so that a path can be told from an inode; of what has several names, one of them. */
  readonly parent?: { readonly inode: Inode; readonly name: string };
  /** Symlinks. */
  readonly target?: string;
  /** How many extended attributes there are, and the bytes of their names and values. */
  readonly extended?: { readonly count: number; readonly sizeBytes: number };
  /** The right to write to it: who has an earlier epoch commits nothing any more. */
  readonly writeEpoch?: number;
}

/** An inode with its content, for those who want both. They lie in two rows: a change of the one never meets a change of the other. */
export interface FileRecord extends FileAttributes {
  /** Files; absent until somebody wrote to it. */
  readonly version?: FileVersion;
}

/** A remembered delete: foreign objects under the key that are not newer stay invisible. */
export interface Tombstone {
  readonly path: FilePath;
  readonly deletedMs: number;
  /** The version that was removed, and the content its copies had, so that a late copy of the same bytes is recognised. */
  readonly versionId: VersionId;
  readonly etags: readonly string[];
  /** Versions that were in the catalog and had their objects there, the last ones. */
  readonly versions: readonly string[];
}

/** What a write requires of the name it lands on. Checked in the transaction that commits. */
export type Expectation =
  | { readonly kind: "any" }
  | { readonly kind: "absent" }
  /** The current version has this id. */
  | { readonly kind: "version"; readonly id: VersionId }
  /** The current version's etag is one of these; `*` is any. */
  | { readonly kind: "etag"; readonly etags: readonly string[] };

/** Where a path's directory was when a transaction last met it. It is there still while no directory has moved, and it has not been removed. */
export interface KnownDirectory {
  readonly inode: Inode;
  /** Of the tree, in a state in which the directory had the path. */
  readonly moves: number;
}

export interface CommitVersion {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly expect: Expectation;
  readonly nowMs: number;
  /** Another tool wrote it: it takes nothing away from a version that S3 calls `null`. */
  readonly found?: boolean;
  /** Where its directory may be. */
  readonly known?: KnownDirectory | undefined;
  /** An id for the file if the path is new, for the version before if it stays, and for each directory that has to be made. */
  readonly nextInode: () => Inode;
  /** For the change feed. */
  readonly copied?: boolean;
}

export interface Committed {
  readonly file: FileRecord;
  /** The version this one replaced. */
  readonly previous?: FileVersion;
  /** Where objects of the previous version lie that the new one does not take the place of: somebody must remove them. */
  readonly orphans: readonly ObjectPlace[];
  /** In a bucket that keeps versions: where the previous version is now. Jobs find it by the objects that it owns. */
  readonly kept?: FileRecord;
  /** The file that had the name, and has others: the content before is still its. */
  readonly left?: FileRecord;
}

export interface Removed {
  readonly file: FileRecord;
  /** Empty while other hard links still name the file. */
  readonly orphans: readonly ObjectPlace[];
}

export interface ListQuery {
  readonly prefix: string;
  readonly delimiter?: "/";
  /** Only names after this key, in UTF-8 byte order. A value that ends in `/` and was a common prefix skips all below it. */
  readonly after?: string;
  readonly limit: number;
  /** Symbolic links and special files, too, which are no objects. */
  readonly others?: boolean;
}

/** What a site says of an object that the catalog does not know. */
export interface ForeignObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sha256?: string;
}

/** An object at a site that a version's copy owns. */
export interface Owner {
  readonly inode: Inode;
  readonly versionId: VersionId;
}

/** Files and explicit directories (whose key ends in `/`) in exact S3 key order. */
export interface ListedFile {
  readonly key: string;
  readonly file: FileRecord;
}

/** What a listing shows of a file or an explicit directory. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sha256?: string;
  /** Empty for a directory. */
  readonly versionId: string;
  readonly details?: VersionDetails;
  /** Of what is no object. */
  readonly kind?: Exclude<FileKind, "file" | "directory">;
}

export interface ListPage<Listed = ListedFile> {
  readonly files: readonly Listed[];
  readonly prefixes: readonly string[];
  /** Pass as `after` for the next page; absent on the last. */
  readonly next?: string;
}

export type ChangeKind = "created" | "updated" | "removed" | "renamed";

/**
 * More than the kind says. copied: the content of another object. assembled: uploaded in parts. hidden: a delete marker lies on top, whose id the
 * line has. uncovered: the version above was removed, and this older one is current again. tagged, untagged, labelled: the same version, with other
 * labels. expired: removed by a rule of the bucket.
 */
export type ChangeCause =
  | "copied"
  | "assembled"
  | "hidden"
  | "uncovered"
  | "tagged"
  | "untagged"
  | "labelled"
  | "expired";

/** One line of the change feed. */
export interface Change {
  readonly kind: ChangeKind;
  readonly path: FilePath;
  /** For `renamed`: the path it had. */
  readonly from?: FilePath;
  readonly inode: Inode;
  readonly versionId?: VersionId;
  readonly atMs: number;
  readonly cause?: ChangeCause;
}
