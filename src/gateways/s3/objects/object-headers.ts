import type { Bucket } from "../../../coordinator/service/buckets.ts";
import type { ObjectMeta } from "../../../coordinator/service/objects.ts";
import type { ContentChecksum } from "../../../namespace/types.ts";
import { apartHeaders, CONTROL, headerBytes, httpDate, TOKEN } from "../../http/index.ts";

/** What an object's answer says of it, as names and values in turn. */

export const DEFAULT_CONTENT_TYPE = "binary/octet-stream";

/** As S3 shows it; undefined in a bucket that has never kept versions, where no answer speaks of them. */
export function shownVersionId(meta: ObjectMeta, bucket: Pick<Bucket, "versioning"> | undefined): string | undefined {
  if (bucket === undefined || bucket.versioning === "off") return undefined;
  return meta.details?.versioned === true ? meta.versionId : "null";
}

/** What a write answers: a version without an id of its own is not spoken of. */
export function writtenVersionId(meta: ObjectMeta, bucket: Pick<Bucket, "versioning"> | undefined): string | undefined {
  const shown = shownVersionId(meta, bucket);
  return shown === "null" ? undefined : shown;
}

export interface ShownObject {
  readonly bucket: Bucket | undefined;
  /** The client asked for checksums, and gets the whole object. */
  readonly checksums: boolean;
  /** `response-...` parameters, by the lower-case name of the header each replaces. */
  readonly overrides?: ReadonlyMap<string, string>;
}

export function objectHeaders(meta: ObjectMeta, { bucket, checksums, overrides }: ShownObject): string[] {
  const { details } = meta;
  const content = details?.contentHeaders;
  const headers = ["ETag", `"${meta.etag}"`, "Last-Modified", httpDate(meta.modifiedMs), "Accept-Ranges", "bytes"];
  const add = (name: string, value: string | undefined): void => {
    const shown = overrides?.get(name.toLowerCase()) ?? value;
    // What a header cannot carry stays in `explain` and in the JSON views.
    if (shown !== undefined && !CONTROL.test(shown)) headers.push(name, headerBytes(shown));
  };
  add("Content-Type", meta.contentType ?? DEFAULT_CONTENT_TYPE);
  headers.push(...apartHeaders(overrides?.get("content-type") ?? meta.contentType));
  if (content !== undefined || overrides !== undefined) {
    add("Cache-Control", content?.cacheControl);
    add("Content-Disposition", content?.contentDisposition);
    add("Content-Encoding", content?.contentEncoding);
    add("Content-Language", content?.contentLanguage);
    add("Expires", content?.expires);
    add("x-amz-website-redirect-location", content?.websiteRedirect);
  }
  const versionId = shownVersionId(meta, bucket);
  if (versionId !== undefined) headers.push("x-amz-version-id", versionId);
  if (checksums && details?.checksum !== undefined) headers.push(...checksumHeaders(details.checksum));
  addLabels(headers, meta);
  addMetadata(headers, meta);
  return headers;
}

function addLabels(headers: string[], { details }: ObjectMeta): void {
  const labels = details?.labels;
  if (labels === undefined) return;
  const tags = labels.tags === undefined ? 0 : Object.keys(labels.tags).length;
  if (tags > 0) headers.push("x-amz-tagging-count", String(tags));
  const { lock } = labels;
  if (lock?.retention !== undefined) {
    headers.push("x-amz-object-lock-mode", lock.retention.mode.toUpperCase());
    headers.push("x-amz-object-lock-retain-until-date", new Date(lock.retention.untilMs).toISOString());
  }
  if (lock?.legalHold !== undefined) headers.push("x-amz-object-lock-legal-hold", lock.legalHold ? "ON" : "OFF");
}

function addMetadata(headers: string[], { metadata }: ObjectMeta): void {
  let missing = 0;
  for (const name in metadata) {
    const value = metadata[name] as string;
    if (TOKEN.test(name) && !CONTROL.test(value)) headers.push(`x-amz-meta-${name}`, headerBytes(value));
    else missing += 1;
  }
  if (missing > 0) headers.push("x-amz-missing-meta", String(missing));
}

export function checksumHeaders({ algorithm, kind, value }: ContentChecksum): string[] {
  return [
    `x-amz-checksum-${algorithm.toLowerCase()}`,
    value,
    "x-amz-checksum-type",
    kind === "full" ? "FULL_OBJECT" : "COMPOSITE",
  ];
}

export function checksumXml({ algorithm, kind, value }: ContentChecksum): string {
  return `<Checksum${algorithm}>${value}</Checksum${algorithm}><ChecksumType>${kind === "full" ? "FULL_OBJECT" : "COMPOSITE"}</ChecksumType>`;
}

/** Of a write that landed: S3 has no 202, so that a header says which sites still wait for a place in the queue. */
export function pendingHeaders(pendingSites: readonly string[]): string[] {
  if (pendingSites.length === 0) return [];
  return ["x-globalfs-replication", "pending", "x-globalfs-pending-sites", pendingSites.join(", ")];
}
