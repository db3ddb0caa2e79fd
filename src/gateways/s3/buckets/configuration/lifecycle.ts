import { escapeXml } from "../../../../core/xml.ts";
import type { LifecycleRule } from "../../../../namespace/types.ts";
import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";
import { readLifecycle } from "./lifecycle-rules.ts";
import { readConfiguration } from "../../wire/documents.ts";

/** Where the ids are kept of rules that wrote their prefix in the old way. */
const PLAIN_PREFIXES = "lifecyclePlainPrefixes";
const MAX_LIFECYCLE_BYTES = 512 * 1_024;

export const getBucketLifecycle: Operation = {
  name: "GetBucketLifecycleConfiguration",
  action: "s3:GetLifecycleConfiguration",
  bucket: "exists",
  async run(request) {
    const { lifecycle, documents } = bucketOf(request);
    if (lifecycle.length === 0) {
      throw s3Error("NotFound", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist.");
    }
    const plain = new Set(JSON.parse(documents[PLAIN_PREFIXES] ?? "[]") as string[]);
    const rules = lifecycle.map((rule) => describe(rule, plain.has(rule.id))).join("");
    sendXml(request, `<LifecycleConfiguration ${S3_NAMESPACE}>${rules}</LifecycleConfiguration>`);
  },
};

export const putBucketLifecycle: Operation = {
  name: "PutBucketLifecycleConfiguration",
  action: "s3:PutLifecycleConfiguration",
  bucket: "exists",
  async run(request, deps) {
    const { rules, plainPrefixes } = readLifecycle(
      await readConfiguration(request, "LifecycleConfiguration", MAX_LIFECYCLE_BYTES),
    );
    await changeBucket(request, deps, {
      lifecycle: rules,
      documents: { [PLAIN_PREFIXES]: plainPrefixes.length === 0 ? null : JSON.stringify(plainPrefixes) },
    });
    sendEmpty(request);
  },
};

export const deleteBucketLifecycle: Operation = {
  name: "DeleteBucketLifecycle",
  action: "s3:PutLifecycleConfiguration",
  bucket: "exists",
  async run(request, deps) {
    await changeBucket(request, deps, { lifecycle: [], documents: { [PLAIN_PREFIXES]: null } });
    sendEmpty(request, 204);
  },
};

function describe(rule: LifecycleRule, plainPrefix: boolean): string {
  const { id, enabled, filter, expireAfterDays, expireAtMs, removeLoneDeleteMarkers } = rule;
  const expiration =
    optional("Days", expireAfterDays) +
    optional("Date", expireAtMs === undefined ? undefined : new Date(expireAtMs).toISOString()) +
    optional("ExpiredObjectDeleteMarker", removeLoneDeleteMarkers);
  const noncurrent =
    optional("NoncurrentDays", rule.noncurrentDays) + optional("NewerNoncurrentVersions", rule.noncurrentKept);
  return `<Rule><ID>${escapeXml(id)}</ID>${plainPrefix ? `<Prefix>${escapeXml(filter.prefix ?? "")}</Prefix>` : describeFilter(filter)}<Status>${enabled ? "Enabled" : "Disabled"}</Status>${wrapped("Expiration", expiration)}${wrapped("NoncurrentVersionExpiration", noncurrent)}${wrapped("AbortIncompleteMultipartUpload", optional("DaysAfterInitiation", rule.abortUploadsAfterDays))}</Rule>`;
}

function describeFilter({ prefix, tags = {}, largerThanBytes, smallerThanBytes }: LifecycleRule["filter"]): string {
  const parts = [
    optional("Prefix", prefix === undefined ? undefined : escapeXml(prefix)),
    ...Object.entries(tags).map(
      ([name, value]) => `<Tag><Key>${escapeXml(name)}</Key><Value>${escapeXml(value)}</Value></Tag>`,
    ),
    optional("ObjectSizeGreaterThan", largerThanBytes),
    optional("ObjectSizeLessThan", smallerThanBytes),
  ].filter((part) => part !== "");
  return `<Filter>${parts.length > 1 ? `<And>${parts.join("")}</And>` : parts.join("")}</Filter>`;
}

function optional(name: string, value: string | number | boolean | undefined): string {
  return value === undefined ? "" : `<${name}>${value}</${name}>`;
}

function wrapped(name: string, content: string): string {
  return content === "" ? "" : `<${name}>${content}</${name}>`;
}
