import type { AccessBucket, AccessObject } from "./types.ts";

/** One thing that somebody wants to do: a request asks one question, or several, such as a copy that also reads. */
export interface Question {
  /** As policies call it, such as `s3:GetObject`, or one of `globalfs:`. */
  readonly action: string;
  readonly bucketName: string;
  /** Undefined while there is none of that name. */
  readonly bucket: AccessBucket | undefined;
  /** Empty: about the bucket as a whole. */
  readonly key: string;
  /** Of the key in the namespace; of the bucket when there is no key. */
  readonly path: string;
  readonly versionId?: string;
  /** Of a listing, as the bucket sees it. */
  readonly prefix?: string;
  /** Of a listing, in the namespace. */
  readonly listed?: string;
  /** Only whether the bucket is there. */
  readonly presence?: boolean;
  readonly requestTags?: Readonly<Record<string, string>>;
  /** Looked up at most once, and only when nothing else decides. Undefined: there is no such object. */
  readonly object: () => Promise<AccessObject | undefined>;
}

/** Whether the neighbourhood of an object may be listed: whoever may is told that it is missing. */
export function listingOf({ bucketName, bucket, key, path }: Question): Question {
  return {
    action: "s3:ListBucket",
    bucketName,
    bucket,
    key: "",
    path: bucketName,
    prefix: key,
    listed: path,
    object: nothing,
  };
}

export async function nothing(): Promise<undefined> {
  return await Promise.resolve(undefined);
}
