import type { Ctx } from "../../core/context.ts";
import type { BucketSettings } from "../../namespace/types.ts";

/** Buckets: the directories at the top of the tree, with settings. */

export interface Bucket extends BucketSettings {
  /** Texts that only the gateway which wrote them understands, by name: access list, policy, CORS rules and the like. */
  readonly documents: Readonly<Record<string, string>>;
}

export interface CreateBucket {
  readonly name: string;
  readonly owner?: string;
  readonly objectLock?: boolean;
  readonly documents?: Readonly<Record<string, string>>;
}

/** A field that is given replaces what was there; null takes it away. */
export interface BucketChange {
  readonly versioning?: "enabled" | "suspended";
  readonly objectLock?: true;
  readonly defaultRetention?: BucketSettings["defaultRetention"] | null;
  readonly lifecycle?: BucketSettings["lifecycle"];
  /** Each at most 64 KiB. */
  readonly documents?: Readonly<Record<string, string | null>>;
  readonly owner?: string;
}

export interface ListBucketsRequest {
  readonly prefix?: string;
  readonly after?: string;
  /** 1 to 10,000. */
  readonly limit: number;
}

export interface BucketService {
  /** Every directory at the top of the tree, in the order of its name, also those that only a site knows. */
  listBuckets(
    ctx: Ctx,
    request: ListBucketsRequest,
  ): Promise<{ readonly buckets: readonly Bucket[]; readonly next?: string }>;
  /** `AlreadyExists` with `owner` in the context when it does. */
  createBucket(ctx: Ctx, request: CreateBucket): Promise<Bucket>;
  /** `NotFound`; `NotEmpty` while any version, delete marker or object is below it. Unfinished uploads are aborted. */
  deleteBucket(ctx: Ctx, name: string): Promise<void>;
  changeBucket(ctx: Ctx, name: string, change: BucketChange): Promise<Bucket>;
  /** Undefined when there is no such directory, at any site either. The same object comes back while nothing has changed. */
  findBucket(ctx: Ctx, name: string): Promise<Bucket | undefined>;
  /**
   * What the catalog knows, without asking any site: what only sites know has no settings. Without a promise where the catalog is in this process.
   * Undefined also for names that no directory can have.
   */
  storedBucket(name: string): Bucket | undefined | Promise<Bucket | undefined>;
  /** `findBucket` without a promise where the catalog is in this process; undefined: ask `findBucket`. */
  peekBucket(name: string): Bucket | undefined;
}
