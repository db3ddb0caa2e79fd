import type { Operation, Route } from "../../request.ts";
import { getBucketAcl, putBucketAcl } from "./bucket-acl.ts";
import { deleteBucketTagging, getBucketTagging, putBucketTagging } from "./bucket-tagging.ts";
import { deleteBucketCors, getBucketCors, putBucketCors } from "./cors.ts";
import { getObjectLegalHold, putObjectLegalHold } from "./legal-hold.ts";
import { deleteBucketLifecycle, getBucketLifecycle, putBucketLifecycle } from "./lifecycle.ts";
import { notKeptRoutes } from "./not-kept.ts";
import { getBucketNotification, putBucketNotification } from "./notification.ts";
import { getObjectAcl, putObjectAcl } from "./object-acl.ts";
import { getObjectLockConfiguration, putObjectLockConfiguration } from "./object-lock.ts";
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from "./object-tagging.ts";
import {
  deleteBucketOwnershipControls,
  getBucketOwnershipControls,
  putBucketOwnershipControls,
} from "./ownership-controls.ts";
import { deleteBucketPolicy, getBucketPolicy, getBucketPolicyStatus, putBucketPolicy } from "./policy.ts";
import { deletePublicAccessBlock, getPublicAccessBlock, putPublicAccessBlock } from "./public-access-block.ts";
import { getBucketRequestPayment, putBucketRequestPayment } from "./request-payment.ts";
import { getObjectRetention, putObjectRetention } from "./retention.ts";
import { getBucketVersioning, putBucketVersioning } from "./versioning.ts";

/** Everything that is configured on buckets and objects: each a sub-resource of its own. */

type Methods = Readonly<Partial<Record<"GET" | "PUT" | "DELETE", Operation>>>;

function family(level: Route["level"], query: string, methods: Methods): Route[] {
  return (["GET", "PUT", "DELETE"] as const).flatMap((method) => {
    const operation = methods[method];
    return operation === undefined ? [] : [{ level, method, query, operation }];
  });
}

export const configurationRoutes: readonly Route[] = [
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
