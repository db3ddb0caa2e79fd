/** Object stores: the port, its drivers, and the layers around them. */
export type * from "./store.ts";
export {
  type BreakerState,
  type ForeignPolicy,
  type Site,
  type SiteDirectory,
  type SiteRole,
  SITE_ROLES,
} from "./site.ts";
export { type Span, spanOf } from "./byte-range.ts";
export { headIfThere } from "./head-if-there.ts";
export { compareKeys } from "./object-key.ts";
export { type FileStoreConfig, linkSafety, MAX_INTAKE_BYTES, openFileStore } from "./drivers/file/index.ts";
export { createMemoryStore, type MemoryStoreConfig } from "./drivers/memory/index.ts";
export { isShared, readMarker } from "./identity/marker.ts";
export { createPlace, type Place, type PlaceBook, type PlaceRecord } from "./identity/place.ts";
export * from "./layers/index.ts";
export type { UploadBook } from "./upload-book.ts";
export { type Probed, type ProbeReport, probeStore } from "./probe.ts";
