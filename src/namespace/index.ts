/** The catalog: a tree of files with versions and copies, as programs over the KV. */
export type * from "./types.ts";
export { type AdoptForeign, type Adopted, adoptForeign } from "./adopt.ts";
export type { VersionRules } from "./bucket-codec.ts";
export { bucketGeneration, bucketOf, keepsVersions, rulesOf } from "./bucket-rows.ts";
export {
  findStoredBucket,
  type BucketPage,
  findTopDirectory,
  pageBuckets,
  removeBucket,
  type StoredBucket,
  type WriteBucket,
  writeBucket,
} from "./buckets.ts";
export {
  type ChangeCursor,
  type ChangePage,
  type FeedLine,
  type FeedPage,
  lastChange,
  readChanges,
  readFeed,
  trimChanges,
} from "./changes.ts";
export { changeSpace } from "./rows.ts";
export { type CatalogCounts, type CatalogReport, checkCatalog, checkNamespace } from "./check/check.ts";
export { checkCounters, type Counters } from "./check/counters.ts";
export { BYTES, EMPTY, JSON_TEXT, namespaceSpaces, type RowSpace, type RowValue, TEXT } from "./row-spaces.ts";
export { createScan, type Scan, type ScanOptions, showKey } from "./check/scan.ts";
export { commitVersion } from "./commit.ts";
export { type GiveUpHome, giveUpHome, type RemoveCopy, removeCopy, type SetCopy, setCopy } from "./copies.ts";
export { CHECKSUM_NAME, encodeChecksum, encodeHeaders, HEADERS_NAME, OWNER_NAME, readDescribed } from "./described.ts";
export type { DeletedKey } from "./delete-entry.ts";
export { type DeleteKey, deleteKey } from "./delete-key.ts";
export { type MakeDirectory, makeDirectory, type RemoveDirectory, removeDirectory } from "./directories.ts";
export { pruneDue } from "./deep-paths.ts";
export { etagOf, sameContent, shownEtag, userMetadata, versionOf } from "./foreign.ts";
export { clearLeftExtended } from "./extended-rows.ts";
export { findMarker, type FoundVersion, findVersion } from "./history.ts";
export { findHistory, historyAfter } from "./history-of-path.ts";
export { type HistoryPlace, type HistoryRow, shownIdOf, shownVersionId } from "./history-rows.ts";
export { createInodeAllocator, initialize, type InodeAllocator } from "./initialize.ts";
export {
  type Followed,
  findFollowing,
  type Link,
  link,
  type MakeSymlink,
  makeSymlink,
  type SetAttributes,
  setAttributes,
} from "./links.ts";
export { directoryOf, KnownDirectories } from "./known-directories.ts";
export { type ChangeLabels, changeLabels } from "./labels.ts";
export { listObjectPage, listPage } from "./list.ts";
export { pageLoneCopies } from "./lone-copies.ts";
export { isLocked, noObjectLock, settleVersion } from "./locks.ts";
export { isHeld } from "./orphan-rows.ts";
export * as posix from "./posix/index.ts";
export { findOwner } from "./owners.ts";
export { blocksOf, keptBlocks, sumOfWhole } from "./content-blocks.ts";
export { EMPTY_ETAG } from "./content-codec.ts";
export { checkPath, isNameable, keyOf, type ParsedKey, parseKey } from "./path.ts";
export { type RemoveFile, removeFile } from "./remove.ts";
export { type RemovedVersion, type RemoveVersion, removeVersion } from "./remove-version.ts";
export type { Renamed } from "./move-entry.ts";
export { findShared } from "./shared-versions.ts";
export {
  appendMove,
  dropMove,
  isDeleted,
  isMoved,
  keyOfObject,
  keysFor,
  type MovedDirectory,
  movesAt,
  readMoves,
  type View,
  viewsOf,
  whereBelongs,
  writeMove,
} from "./moved-directories.ts";
export { LANDED_PREFIX, OWN_PREFIX, SET_ASIDE_PREFIX, versionIdOf, VERSIONS_PREFIX } from "./object-layout.ts";
export { dropCopies, restoreVersion, type Restored, type RestoreVersion } from "./restore.ts";
export { type Rename, rename } from "./rename.ts";
export {
  dropTombstone,
  entombKey,
  findTombstone,
  isBuried,
  type OldTombstone,
  oldTombstones,
  postponeTombstone,
} from "./tombstones.ts";
export { readInode as findByInode } from "./inodes.ts";
export { type ContentRow, findContentRow, findDirectory, findFile, guessFile, pathOf, readContentRow } from "./tree.ts";
export { tellUsage, usageBelow } from "./usage.ts";
export { type Quota, type QuotaLimits, readQuota } from "./quota-rows.ts";
export type { Usage } from "./usage-rows.ts";
export {
  dropLeftParts,
  dropPart,
  type EndedUpload,
  endUpload,
  findEndedUpload,
  findPart,
  findUpload,
  forgetEndedUpload,
  hasParts,
  isUploadInUse,
  leaveSites,
  listUploads,
  type PartRecord,
  putPart,
  putUpload,
  readParts,
  type SiteUpload,
  type UploadPage,
  type UploadQuery,
  type UploadRecord,
} from "./uploads.ts";
export {
  deadWriters,
  dropWriter,
  enterWriter,
  isWriterAlive,
  straysUntilMs,
  suspectStrays,
  NO_WRITER,
  TAG_LENGTH,
  tagOf,
  withTag,
} from "./writers.ts";
export { type BegunUpload, type Homeless, homelessBuckets, oldEnded, oldUploads } from "./upload-due.ts";
export { readVersionParts, writeVersionParts } from "./version-parts.ts";
export {
  pageVersions,
  type VersionItem,
  type VersionPage,
  type VersionPlace,
  type VersionQuery,
} from "./version-page.ts";
export {
  attributesIn,
  type InodeTouch,
  isTouching,
  type NameTouch,
  type Touch,
  touchOf,
  touchRange,
} from "./touches.ts";
