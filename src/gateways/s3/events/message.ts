import type { Bucket, ChangeLine, ObjectMeta } from "../../../coordinator/service/service.ts";
import { canonicalUserId } from "../../../security/index.ts";

/** One record of S3's event message, version 2.1. Who asked from where the feed does not tell, so these fields stay empty. */
export interface EventRecord {
  readonly eventVersion: "2.1";
  readonly eventSource: "aws:s3";
  readonly awsRegion: string;
  readonly eventTime: string;
  readonly eventName: string;
  readonly userIdentity: { readonly principalId: string };
  readonly requestParameters: Readonly<Record<string, never>>;
  readonly responseElements: Readonly<Record<string, never>>;
  readonly s3: {
    readonly s3SchemaVersion: "1.0";
    readonly configurationId: string;
    readonly bucket: {
      readonly name: string;
      readonly ownerIdentity: { readonly principalId: string };
      readonly arn: string;
    };
    readonly object: {
      readonly key: string;
      readonly size?: number;
      readonly eTag?: string;
      readonly versionId?: string;
      readonly sequencer: string;
    };
  };
}

export interface RecordOf {
  readonly change: ChangeLine;
  /** Such as `s3:ObjectCreated:Put`. */
  readonly type: string;
  readonly bucket: Bucket;
  readonly key: string;
  readonly configurationId: string;
  readonly region: string;
  /** Of the very version that the change is about; absent when it is gone meanwhile. */
  readonly meta: ObjectMeta | undefined;
}

export function recordOf({ change, type, bucket, key, configurationId, region, meta }: RecordOf): EventRecord {
  const versionId = shownVersion(change, bucket, meta);
  return {
    eventVersion: "2.1",
    eventSource: "aws:s3",
    awsRegion: region,
    eventTime: new Date(change.atMs).toISOString(),
    eventName: type.slice("s3:".length),
    userIdentity: { principalId: principal(meta?.details?.owner) },
    requestParameters: {},
    responseElements: {},
    s3: {
      s3SchemaVersion: "1.0",
      configurationId,
      bucket: {
        name: bucket.name,
        ownerIdentity: { principalId: principal(bucket.owner) },
        arn: `arn:aws:s3:::${bucket.name}`,
      },
      object: {
        key: encodedKey(key),
        ...(meta === undefined ? {} : { size: meta.sizeBytes, eTag: meta.etag }),
        ...(versionId === undefined ? {} : { versionId }),
        sequencer: change.position.toString(16).toUpperCase().padStart(16, "0"),
      },
    },
  };
}

function principal(user: string | undefined): string {
  return user === undefined ? "" : canonicalUserId(user);
}

function shownVersion(
  { cause, versionId }: ChangeLine,
  bucket: Bucket,
  meta: ObjectMeta | undefined,
): string | undefined {
  if (meta !== undefined) return meta.details?.versioned === true ? meta.versionId : undefined;
  return bucket.versioning === "enabled" &&
    (cause === "hidden" || cause === "expired" || cause === "copied" || cause === "assembled")
    ? versionId
    : undefined;
}

/** As S3 has it: percent-encoded as in a form, slashes as they are. */
function encodedKey(key: string): string {
  return encodeURIComponent(key).replaceAll("%20", "+").replaceAll("%2F", "/");
}
