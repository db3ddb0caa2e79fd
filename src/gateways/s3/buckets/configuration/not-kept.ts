import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { notImplemented, s3Error } from "../../wire/errors.ts";
import type { Operation, Route } from "../../wire/request.ts";

/** Configurations that are not here: reading them says so in the way S3 has for a bucket without one, and setting them is refused. */

interface Absent {
  readonly query: string;
  /** As operations and permissions name it. */
  readonly operation: string;
  readonly permission: string;
  /** What reading gives: a document, or the error of a bucket that has none. */
  readonly reading: { readonly document: string } | { readonly code: string; readonly sentence: string };
  readonly refusal: string;
  /** What is not there can be deleted. */
  readonly deletes: boolean;
}

const ABSENT: readonly Absent[] = [
  {
    query: "encryption",
    operation: "BucketEncryption",
    permission: "EncryptionConfiguration",
    reading: {
      code: "ServerSideEncryptionConfigurationNotFoundError",
      sentence: "The server side encryption configuration was not found.",
    },
    refusal: "Encryption by the server is not implemented; encrypt at the client, or at the sites.",
    deletes: true,
  },
  {
    query: "accelerate",
    operation: "BucketAccelerateConfiguration",
    permission: "AccelerateConfiguration",
    reading: { document: `<AccelerateConfiguration ${S3_NAMESPACE}></AccelerateConfiguration>` },
    refusal: "Transfer acceleration is not implemented; sites near the reader do what it is for.",
    deletes: false,
  },
  {
    query: "logging",
    operation: "BucketLogging",
    permission: "BucketLogging",
    reading: { document: `<BucketLoggingStatus ${S3_NAMESPACE}></BucketLoggingStatus>` },
    refusal: "Access logs in buckets are not implemented; the log of the coordinator has a line for each request.",
    deletes: false,
  },
  {
    query: "website",
    operation: "BucketWebsite",
    permission: "BucketWebsite",
    reading: {
      code: "NoSuchWebsiteConfiguration",
      sentence: "The specified bucket does not have a website configuration.",
    },
    refusal: "Static websites are not implemented; let a web server in front read the objects.",
    deletes: true,
  },
  {
    query: "replication",
    operation: "BucketReplication",
    permission: "ReplicationConfiguration",
    reading: {
      code: "ReplicationConfigurationNotFoundError",
      sentence: "The replication configuration was not found.",
    },
    refusal: "Replication of buckets is not implemented: the rules of GlobalFS place copies at sites.",
    deletes: true,
  },
];

/** Those of which a bucket may have several, each with an id. */
const FAMILIES: readonly { readonly query: string; readonly name: string; readonly list: string }[] = [
  { query: "inventory", name: "InventoryConfiguration", list: "ListInventoryConfigurationsResult" },
  { query: "analytics", name: "AnalyticsConfiguration", list: "ListBucketAnalyticsConfigurationResult" },
  { query: "metrics", name: "MetricsConfiguration", list: "ListMetricsConfigurationsResult" },
  {
    query: "intelligent-tiering",
    name: "IntelligentTieringConfiguration",
    list: "ListBucketIntelligentTieringConfigurationsOutput",
  },
];

export const notKeptRoutes: readonly Route[] = [
  ...ABSENT.flatMap((absent) => routesOf(absent)),
  ...FAMILIES.flatMap((family) => familyRoutes(family)),
];

function routesOf({ query, operation, permission, reading, refusal, deletes }: Absent): Route[] {
  const get = bucketOperation(`Get${operation}`, `s3:Get${permission}`, async (request) => {
    if ("document" in reading) sendXml(request, reading.document);
    else throw s3Error("NotFound", reading.code, reading.sentence);
  });
  const put = bucketOperation(`Put${operation}`, `s3:Put${permission}`, async () => {
    throw notImplemented(refusal);
  });
  const remove = bucketOperation(`Delete${operation}`, `s3:Put${permission}`, async (request) => {
    sendEmpty(request, 204);
  });
  return [
    { level: "bucket", method: "GET", query, operation: get },
    { level: "bucket", method: "PUT", query, operation: put },
    ...(deletes ? [{ level: "bucket", method: "DELETE", query, operation: remove } as const] : []),
  ];
}

function familyRoutes({ query, name, list }: (typeof FAMILIES)[number]): Route[] {
  const missing = async (): Promise<void> => {
    throw s3Error("NotFound", "NoSuchConfiguration", "The specified configuration does not exist.");
  };
  const all = bucketOperation(`ListBucket${name}s`, `s3:Get${name}`, async (request) => {
    sendXml(request, `<${list} ${S3_NAMESPACE}><IsTruncated>false</IsTruncated></${list}>`);
  });
  const put = bucketOperation(`PutBucket${name}`, `s3:Put${name}`, async () => {
    throw notImplemented(`The ${query} configurations of S3 are not implemented.`);
  });
  return [
    { level: "bucket", method: "GET", query, operation: all },
    {
      level: "bucket",
      method: "GET",
      query: [query, "id"],
      operation: bucketOperation(`GetBucket${name}`, `s3:Get${name}`, missing),
    },
    { level: "bucket", method: "PUT", query, operation: put },
    {
      level: "bucket",
      method: "DELETE",
      query,
      operation: bucketOperation(`DeleteBucket${name}`, `s3:Put${name}`, missing),
    },
  ];
}

function bucketOperation(name: string, action: string, run: Operation["run"]): Operation {
  return { name, action, bucket: "exists", run };
}
