/** Which operations a test is about, told by its name; the first line that fits holds. */
const BY_NAME = /** @type {const} */ ([
  [/logging/, "PutBucketLogging, GetBucketLogging"],
  [/cloud|^test_read_through/, "Transition to another cloud"],
  [/^test_restore|noncur_obj/, "RestoreObject"],
  [/lifecycle/, "PutBucketLifecycleConfiguration and what it does"],
  [/sse_c|enc_conflict_c|encrypted_transfer|^test_encryption_/, "Encryption with a key of the client (SSE-C)"],
  [
    /sse_kms|sse_s3|kms|bucket_encryption|obj_enc|_enc_|copy(_part)?_enc/,
    "PutBucketEncryption and server-side encryption",
  ],
  [/object_lock/, "Object lock: configuration, retention, legal hold"],
  [/notification|topic|sns/, "Notifications"],
  [/cors/, "PutBucketCors and preflight"],
  [/^test_post_object/, "POST Object (forms)"],
  [/ownership|bucketv2_ownership|acl_revoke/, "PutBucketOwnershipControls"],
  [/block_public|public_block|ignore_public/, "PutPublicAccessBlock"],
  [/policy|policies/, "PutBucketPolicy and what it decides"],
  [/versioned_object_acl|object_acl|header_acl|object_put_acl|put_tags_acl/, "PutObjectAcl, GetObjectAcl"],
  [/bucket_acl|bucket_header_acl|access_bucket/, "PutBucketAcl and what access lists decide"],
  [/bucket_tagging|bucket_tag/, "PutBucketTagging"],
  [/tag/, "PutObjectTagging, GetObjectTagging, DeleteObjectTagging"],
  [/delete_objects|multi_object(v2)?_delete|multi_object/, "DeleteObjects"],
  [/get_object_attributes|object_attributes/, "GetObjectAttributes"],
  [/multipart_copy|upload_part_copy/, "UploadPartCopy"],
  [/list_multipart/, "ListMultipartUploads"],
  [/checksum|cksum/, "Checksums"],
  [/multipart|abort_multipart|upload_part/, "Multipart uploads"],
  [/copy/, "CopyObject"],
  [/list_buckets|buckets_list/, "ListBuckets"],
  [/versioning|versioned|versions|delete_marker|versionid/, "Versions of objects"],
  [/listv2/, "ListObjectsV2"],
  [/bucket_list|list_objects|basic_key_count|list_return/, "ListObjects"],
  [/location/, "GetBucketLocation"],
  [/bucket_create|bucket_recreate|create_bucket|bucket_naming/, "CreateBucket"],
  [/bucket_delete|delete_bucket|bucket_notexist|bucket_concurrent/, "DeleteBucket"],
  [/bucket_head|head_bucket/, "HeadBucket"],
  [/ifmatch|ifnonmatch|ifnonematch|ifmodified|ifunmodified|_if_|current_object/, "Conditional requests"],
  [/presigned|raw_|anon|authenticated/, "Presigned and unsigned requests"],
  [/ranged|range/, "Ranges"],
  [
    /object_create_bad|bad_auth|bad_contenttype|bad_date|bad_ua|bad_md5|bad_expect|bad_amz|create_date_/,
    "Malformed and odd headers",
  ],
  [/delete/, "DeleteObject"],
  [/head/, "HeadObject"],
  [/write|put|metadata|atomic|content_encoding|create/, "PutObject"],
  [/read|get/, "GetObject"],
]);

const BY_FILE = {
  "test_iam.py": "IAM: accounts, users, groups, roles and their policies",
  "test_sts.py": "STS: temporary credentials",
  "test_s3select.py": "SelectObjectContent",
  "test_sns.py": "SNS: topics",
  "test_headers.py": "Malformed and odd headers",
  "test_utils.py": "The suite's own parts",
};

export function operationOf({ file, name }) {
  const byFile = BY_FILE[file];
  if (byFile !== undefined) return byFile;
  return BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? "Other";
}
