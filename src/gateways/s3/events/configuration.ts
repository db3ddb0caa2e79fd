import type { Bucket } from "../../../coordinator/service/service.ts";

/** Where a bucket's events go: the document that `?notification` puts and the delivery reads. */

export const EVENT_TYPES = [
  "s3:ObjectCreated:*",
  "s3:ObjectCreated:Put",
  "s3:ObjectCreated:Copy",
  "s3:ObjectCreated:CompleteMultipartUpload",
  "s3:ObjectRemoved:*",
  "s3:ObjectRemoved:Delete",
  "s3:ObjectRemoved:DeleteMarkerCreated",
  "s3:ObjectTagging:*",
  "s3:ObjectTagging:Put",
  "s3:ObjectTagging:Delete",
  "s3:LifecycleExpiration:*",
  "s3:LifecycleExpiration:Delete",
  "s3:LifecycleExpiration:DeleteMarkerCreated",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

export interface Subscription {
  readonly id: string;
  /** The name of a webhook that the operator configured. */
  readonly webhook: string;
  readonly events: readonly EventType[];
  readonly prefix?: string;
  readonly suffix?: string;
}

const parsed = new WeakMap<Bucket, readonly Subscription[]>();
const NONE: readonly Subscription[] = [];

export function subscriptionsOf(bucket: Bucket): readonly Subscription[] {
  const text = bucket.documents["notification"];
  if (text === undefined) return NONE;
  const known = parsed.get(bucket);
  if (known !== undefined) return known;
  const subscriptions = JSON.parse(text) as readonly Subscription[];
  parsed.set(bucket, subscriptions);
  return subscriptions;
}

/** `type` is a whole one, without a star. */
export function wants({ events, prefix, suffix }: Subscription, type: string, key: string): boolean {
  if (prefix !== undefined && !key.startsWith(prefix)) return false;
  if (suffix !== undefined && !key.endsWith(suffix)) return false;
  const family = `${type.slice(0, type.lastIndexOf(":"))}:*`;
  return events.some((event) => event === type || event === family);
}

export function webhookArn(region: string, name: string): string {
  return `arn:globalfs:sqs:${region}::${name}`;
}

/** The name in an address of a webhook of this region; undefined for anything else. */
export function webhookOfArn(region: string, arn: string): string | undefined {
  const start = webhookArn(region, "");
  return arn.startsWith(start) ? arn.slice(start.length) : undefined;
}
