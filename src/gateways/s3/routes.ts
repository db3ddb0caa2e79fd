import { abortMultipartUpload } from "./operations/abort-multipart-upload.ts";
import { completeMultipartUpload } from "./operations/complete-multipart-upload.ts";
import { configurationRoutes } from "./operations/configuration/routes.ts";
import { copyObject } from "./operations/copy-object.ts";
import { createBucket } from "./operations/create-bucket.ts";
import { createMultipartUpload } from "./operations/create-multipart-upload.ts";
import { deleteBucket } from "./operations/delete-bucket.ts";
import { deleteObject } from "./operations/delete-object.ts";
import { deleteObjects } from "./operations/delete-objects.ts";
import { getBucketLocation } from "./operations/get-bucket-location.ts";
import { getObject } from "./operations/get-object.ts";
import { getObjectAttributes } from "./operations/get-object-attributes.ts";
import { headBucket } from "./operations/head-bucket.ts";
import { headObject } from "./operations/head-object.ts";
import { listBuckets } from "./operations/list-buckets.ts";
import { listMultipartUploads } from "./operations/list-multipart-uploads.ts";
import { listObjectVersions } from "./operations/list-object-versions.ts";
import { listObjects } from "./operations/list-objects.ts";
import { listObjectsV2 } from "./operations/list-objects-v2.ts";
import { listParts } from "./operations/list-parts.ts";
import { postObject } from "./operations/post-object.ts";
import { putObject } from "./operations/put-object.ts";
import { restoreObject } from "./operations/restore-object.ts";
import { uploadPart } from "./operations/upload-part.ts";
import { uploadPartCopy } from "./operations/upload-part-copy.ts";
import type { Route } from "./request.ts";

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

  ...configurationRoutes,
];
