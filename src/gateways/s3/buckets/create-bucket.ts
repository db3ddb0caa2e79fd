import { childText } from "../../../core/xml.ts";
import { isGfsError } from "../../../core/errors.ts";
import { hasRole } from "../../../security/index.ts";
import { newBucketDocuments } from "../access/index.ts";
import { sendEmpty } from "../wire/answer.ts";
import { malformedXml, readDocument } from "../wire/documents.ts";
import { notImplemented, s3Error } from "../wire/errors.ts";
import { isBucketName } from "./key-space.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";

const MAX_DOCUMENT_BYTES = 64 * 1024;

export const createBucket: Operation = {
  name: "CreateBucket",
  action: "s3:CreateBucket",
  bucket: "none",
  async run(request, deps) {
    const { ctx, bucket: name, identity, http } = request;
    const { service, settings } = deps;
    if (!isBucketName(name)) {
      throw s3Error(
        "InvalidArgument",
        "InvalidBucketName",
        "The specified bucket is not valid: a name has 3 to 63 lower-case letters, digits, dots and hyphens, and begins and ends with a letter or a digit.",
      );
    }
    await checkLocation(request, deps);
    if (settings.rootBucket !== undefined) {
      if (name === settings.rootBucket) throw alreadyExists("BucketAlreadyExists");
      throw notImplemented("This endpoint shows the whole tree of GlobalFS as one bucket, so that no other is made.");
    }
    // What lies there without an owner was written by others: who may only make buckets of its own takes over none of it.
    if (!hasRole(identity, "admin", name)) {
      const before = await service.findBucket(ctx, name);
      if (before !== undefined && before.owner === undefined) throw alreadyExists("BucketAlreadyExists");
    }
    const documents = newBucketDocuments(http.headers, identity.user);
    const objectLock = flag(http.headers["x-amz-bucket-object-lock-enabled"]);
    try {
      await service.createBucket(ctx, {
        name,
        owner: identity.user,
        ...(objectLock ? { objectLock } : {}),
        ...(Object.keys(documents).length === 0 ? {} : { documents }),
      });
    } catch (error) {
      if (!isGfsError(error, "AlreadyExists")) throw error;
      if (error.context["owner"] !== identity.user) throw alreadyExists("BucketAlreadyExists");
      if (settings.region !== "us-east-1") throw alreadyExists("BucketAlreadyOwnedByYou");
      // In its first region S3 takes the same request for done; another one must not seem to have had an effect.
      const existing = await service.findBucket(ctx, name);
      const same = Object.entries(documents).every(([document, text]) => existing?.documents[document] === text);
      if (!same || Object.keys(documents).length > 0 || (objectLock && existing?.objectLock !== true))
        throw alreadyExists("BucketAlreadyExists");
    }
    sendEmpty(request, 200, ["Location", `/${name}`]);
  },
};

function alreadyExists(code: "BucketAlreadyExists" | "BucketAlreadyOwnedByYou"): Error {
  return s3Error(
    "AlreadyExists",
    code,
    code === "BucketAlreadyExists"
      ? "The requested bucket name is not available: there is a bucket of this name. Please select a different name and try again."
      : "Your previous request to create the named bucket succeeded and you already own it.",
  );
}

async function checkLocation({ body }: S3Request, { settings }: S3Deps): Promise<void> {
  const document = await readDocument(body, { root: "CreateBucketConfiguration", limitBytes: MAX_DOCUMENT_BYTES });
  if (document === undefined) return;
  if (document.children.some(({ name }) => name === "Location" || name === "Bucket"))
    throw notImplemented("Directory buckets are not implemented.");
  const location = childText(document, "LocationConstraint") ?? "";
  if (document.children.some(({ name }) => name !== "LocationConstraint" && name !== "Tags"))
    throw malformedXml("holds an element that CreateBucketConfiguration has not");
  if (document.children.some(({ name }) => name === "Tags"))
    throw notImplemented("Tags of a bucket are set with PutBucketTagging, once it is made.");
  if (location !== "" && location !== settings.region) {
    throw s3Error(
      "InvalidArgument",
      "InvalidLocationConstraint",
      `The specified location-constraint is not valid: this endpoint serves the region ${settings.region}.`,
      { argumentName: "LocationConstraint", argumentValue: location.slice(0, 100) },
    );
  }
}

function flag(value: string | string[] | undefined): boolean {
  return String(value ?? "").toLowerCase() === "true";
}
