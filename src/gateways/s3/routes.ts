import { abortMultipartUpload } from "./multipart/abort-multipart-upload.ts";
import { completeMultipartUpload } from "./multipart/complete-multipart-upload.ts";
import { copyObject } from "./objects/copy-object.ts";
import { createBucket } from "./buckets/create-bucket.ts";
import { createMultipartUpload } from "./multipart/create-multipart-upload.ts";
import { deleteBucket } from "./buckets/delete-bucket.ts";
import { deleteObject } from "./objects/delete-object.ts";
import { deleteObjects } from "./objects/delete-objects.ts";
import { getBucketLocation } from "./buckets/get-bucket-location.ts";
import { getObject } from "./objects/get-object.ts";
import { getObjectAttributes } from "./objects/get-object-attributes.ts";
import { headBucket } from "./buckets/head-bucket.ts";
import { headObject } from "./objects/head-object.ts";
import { listBuckets } from "./buckets/list-buckets.ts";
import { listMultipartUploads } from "./multipart/list-multipart-uploads.ts";
import { listObjectVersions } from "./listings/list-object-versions.ts";
import { listObjects } from "./listings/list-objects.ts";
import { listObjectsV2 } from "./listings/list-objects-v2.ts";
import { listParts } from "./multipart/list-parts.ts";
import { postObject } from "./objects/post-object.ts";
import { putObject } from "./objects/put-object.ts";
import { restoreObject } from "./objects/restore-object.ts";
import { uploadPart } from "./multipart/upload-part.ts";
import { uploadPartCopy } from "./multipart/upload-part-copy.ts";
import type { Operation, Route } from "./wire/request.ts";
import { getBucketAcl, putBucketAcl } from "./buckets/configuration/bucket-acl.ts";
import { deleteBucketTagging, getBucketTagging, putBucketTagging } from "./buckets/configuration/bucket-tagging.ts";
import { deleteBucketCors, getBucketCors, putBucketCors } from "./buckets/configuration/cors.ts";
import { getObjectLegalHold, putObjectLegalHold } from "./objects/configuration/legal-hold.ts";
import { deleteBucketLifecycle, getBucketLifecycle, putBucketLifecycle } from "./buckets/configuration/lifecycle.ts";
import { notKeptRoutes } from "./buckets/configuration/not-kept.ts";
import { getBucketNotification, putBucketNotification } from "./buckets/configuration/notification.ts";
import { getObjectAcl, putObjectAcl } from "./objects/configuration/object-acl.ts";
import { getObjectLockConfiguration, putObjectLockConfiguration } from "./buckets/configuration/object-lock.ts";
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from "./objects/configuration/object-tagging.ts";
import {
  deleteBucketOwnershipControls,
  getBucketOwnershipControls,
  putBucketOwnershipControls,
} from "./buckets/configuration/ownership-controls.ts";
import {
  deleteBucketPolicy,
  getBucketPolicy,
  getBucketPolicyStatus,
  putBucketPolicy,
} from "./buckets/configuration/policy.ts";
import {
  deletePublicAccessBlock,
  getPublicAccessBlock,
  putPublicAccessBlock,
} from "./buckets/configuration/public-access-block.ts";
import { getBucketRequestPayment, putBucketRequestPayment } from "./buckets/configuration/request-payment.ts";
import { getObjectRetention, putObjectRetention } from "./objects/configuration/retention.ts";
import { getBucketVersioning, putBucketVersioning } from "./buckets/configuration/versioning.ts";

/** Everything that is configured on buckets and objects: each a sub-resource of its own. */

type Methods = Readonly<Partial<Record<"GET" | "PUT" | "DELETE", Operation>>>;

function family(level: Route["level"], query: string, methods: Methods): Route[] {
  return (["GET", "PUT", "DELETE"] as const).flatMap((method) => {
    const operation = methods[method];
    return operation === undefined ? [] : [{ level, method, query, operation }];
  });
}

const CONFIGURATION: readonly Route[] = [
  ...family("bucket", "versioning", { GET: getBucketVersioning, PUT: putBucketVersioning }),
  ...family("bucket", "object-lock", { GET: getObjectLockConfiguration, PUT: putObjectLockConfiguration }),
  ...family("object", "retention", { GET: getObjectRetention, PUT: putObjectRetention }),
  ...family("object", "legal-hold", { GET: getObjectLegalHold, PUT: putObjectLegalHold }),
  ...family("bucket", "cors", { GET: getBucketCors, PUT: putBucketCors, DELETE: deleteBucketCors }),
  ...family("bucket", "lifecycle", {
    GET: getBucketLifecycle,
    PUT: putBucketLifecycle,
    DELETE: deleteBucketLifecycle,
  }),
  ...family("bucket", "policy", { GET: getBucketPolicy, PUT: putBucketPolicy, DELETE: deleteBucketPolicy }),
  ...family("bucket", "policyStatus", { GET: getBucketPolicyStatus }),
  ...family("bucket", "tagging", { GET: getBucketTagging, PUT: putBucketTagging, DELETE: deleteBucketTagging }),
  ...family("object", "tagging", { GET: getObjectTagging, PUT: putObjectTagging, DELETE: deleteObjectTagging }),
  ...family("bucket", "acl", { GET: getBucketAcl, PUT: putBucketAcl }),
  ...family("object", "acl", { GET: getObjectAcl, PUT: putObjectAcl }),
  ...family("bucket", "ownershipControls", {
    GET: getBucketOwnershipControls,
    PUT: putBucketOwnershipControls,
    DELETE: deleteBucketOwnershipControls,
  }),
  ...family("bucket", "publicAccessBlock", {
    GET: getPublicAccessBlock,
    PUT: putPublicAccessBlock,
    DELETE: deletePublicAccessBlock,
  }),
  ...family("bucket", "notification", { GET: getBucketNotification, PUT: putBucketNotification }),
  ...family("bucket", "requestPayment", { GET: getBucketRequestPayment, PUT: putBucketRequestPayment }),
  ...notKeptRoutes,
];

/** Every request that S3 clients can make here. What is not in this table is `NotImplemented`. */
export const ROUTES: readonly Route[] = [
  { level: "service", method: "GET", operation: listBuckets },

  { level: "bucket", method: "PUT", operation: createBucket },
  { level: "bucket", method: "HEAD", operation: headBucket },
  { level: "bucket", method: "DELETE", operation: deleteBucket },
  { level: "bucket", method: "GET", operation: listObjects },
  { level: "bucket", method: "GET", query: "list-type", operation: listObjectsV2 },
  { level: "bucket", method: "GET", query: "versions", operation: listObjectVersions },
  { level: "bucket", method: "GET", query: "uploads", operation: listMultipartUploads },
  { level: "bucket", method: "GET", query: "location", operation: getBucketLocation },
  { level: "bucket", method: "POST", query: "delete", operation: deleteObjects },
  { level: "bucket", method: "POST", operation: postObject },

  { level: "object", method: "GET", operation: getObject },
  { level: "object", method: "HEAD", operation: headObject },
  { level: "object", method: "PUT", operation: putObject },
  { level: "object", method: "PUT", header: "x-amz-copy-source", operation: copyObject },
  { level: "object", method: "DELETE", operation: deleteObject },
  { level: "object", method: "GET", query: "attributes", operation: getObjectAttributes },
  { level: "object", method: "POST", query: "restore", operation: restoreObject },

  { level: "object", method: "POST", query: "uploads", operation: createMultipartUpload },
  { level: "object", method: "PUT", query: ["partNumber", "uploadId"], operation: uploadPart },
  {
    level: "object",
    method: "PUT",
    query: ["partNumber", "uploadId"],
    header: "x-amz-copy-source",
    operation: uploadPartCopy,
  },
  { level: "object", method: "GET", query: "uploadId", operation: listParts },
  { level: "object", method: "POST", query: "uploadId", operation: completeMultipartUpload },
  { level: "object", method: "DELETE", query: "uploadId", operation: abortMultipartUpload },

  ...CONFIGURATION,
];
