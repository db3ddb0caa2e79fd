import type { Ctx } from "../../core/context.ts";
import { actionOnVersion } from "./actions.ts";
import { nothing, type Question } from "./question.ts";
import type { AccessBucket, AccessObject } from "./types.ts";

/** Questions about paths of the namespace, for the doors that know no buckets: the directory at the top is the bucket, the rest is the key. */

/** What decides who gets in, as the catalog has it. */
export interface AccessCatalog {
  /** Without asking any site: what only sites know has no policy. Without a promise where the catalog is in this process. */
  storedBucket(name: string): AccessBucket | undefined | Promise<AccessBucket | undefined>;
  /** Undefined for what is not there, and for what could be no object. */
  describeObject(ctx: Ctx, path: string, versionId?: string): Promise<AccessObject | undefined>;
}

export interface PathSplit {
  /** Empty: the path lies in no bucket, being a file at the top, or the whole tree. */
  readonly bucketName: string;
  readonly key: string;
}

export function splitAtBucket(path: string): PathSplit {
  const slash = path.indexOf("/");
  return slash === -1
    ? { bucketName: "", key: path }
    : { bucketName: path.slice(0, slash), key: path.slice(slash + 1) };
}

export interface PathAction {
  readonly action: string;
  readonly versionId?: string | undefined;
}

/** Of an object. A path that ends in a slash is a directory; the directory at the top is asked about as a bucket. */
export function askPath(
  ctx: Ctx,
  catalog: AccessCatalog,
  path: string,
  { action, versionId }: PathAction,
): Question | Promise<Question> {
  const { bucketName, key } = splitAtBucket(path);
  const ask = (bucket: AccessBucket | undefined): Question => ({
    action: actionOnVersion(action, versionId),
    bucketName,
    bucket,
    key,
    path: path.endsWith("/") ? path.slice(0, -1) : path,
    ...(versionId === undefined ? {} : { versionId }),
    object: once(async () => await catalog.describeObject(ctx, path, versionId)),
  });
  return withBucket(catalog, bucketName, ask);
}

/** Of a listing below a prefix that lies in one bucket: there is a slash in it. */
export function askListing(catalog: AccessCatalog, prefix: string): Question | Promise<Question> {
  const { bucketName, key } = splitAtBucket(prefix);
  return withBucket(catalog, bucketName, (bucket) => ({
    action: "s3:ListBucket",
    bucketName,
    bucket,
    key: "",
    path: bucketName,
    prefix: key,
    listed: prefix,
    object: nothing,
  }));
}

/** Of what concerns no object. */
export function askOperation(action: string, path: string): Question {
  return { action, bucketName: "", bucket: undefined, key: "", path, object: nothing };
}

function withBucket(
  catalog: AccessCatalog,
  name: string,
  ask: (bucket: AccessBucket | undefined) => Question,
): Question | Promise<Question> {
  const bucket = name === "" ? undefined : catalog.storedBucket(name);
  return bucket instanceof Promise ? bucket.then(ask) : ask(bucket);
}

export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return async () => await (begun ??= work());
}
