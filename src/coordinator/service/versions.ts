import type { Ctx } from "../../core/context.ts";
import type { Retention, VersionPart } from "../../namespace/types.ts";
import type { ObjectMeta, ReadOptions } from "./objects.ts";

/** Versions of a key in buckets that keep them, and what may change on a version. */

export interface ListVersionsRequest {
  /** Begins with the bucket's name and a slash, unless the whole tree is listed. */
  readonly prefix: string;
  readonly delimiter?: "/";
  /** Only what follows this key and, within it, this version. */
  readonly afterKey?: string;
  readonly afterVersionId?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface VersionEntry {
  readonly key: string;
  /** As S3 shows it: an id, or `null`. */
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly modifiedMs: number;
  readonly owner?: string;
  /** Absent for a delete marker. */
  readonly meta?: ObjectMeta;
}

export interface ListVersionsResult {
  /** In key order; within a key the newest first. */
  readonly entries: readonly VersionEntry[];
  readonly prefixes: readonly string[];
  readonly next?: { readonly key: string; readonly versionId?: string };
  readonly failedSites: readonly { readonly site: string; readonly error: string }[];
}

/** A field that is given replaces what was there; null takes it away. */
export interface LabelChange {
  readonly versionId?: string;
  readonly tags?: Readonly<Record<string, string>> | null;
  readonly accessList?: string | null;
  /** Shortening or removing it needs `bypassGovernance`, and is refused in compliance mode. Needs a bucket with object lock. */
  readonly retention?: Retention | null;
  readonly legalHold?: boolean;
  readonly bypassGovernance?: boolean;
}

export interface VersionService {
  listVersions(ctx: Ctx, request: ListVersionsRequest): Promise<ListVersionsResult>;
  /** Resolves with the version as it is now. Not for delete markers: `MethodNotAllowed`. */
  changeLabels(ctx: Ctx, key: string, change: LabelChange): Promise<ObjectMeta>;
  /** The parts that a version was uploaded in, by number; empty when it came in one piece. */
  versionParts(ctx: Ctx, key: string, options?: ReadOptions): Promise<readonly VersionPart[]>;
}
