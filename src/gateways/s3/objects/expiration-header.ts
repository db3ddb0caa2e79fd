import { DAY_MS, expiryOf } from "../../../coordinator/index.ts";
import type { ObjectMeta } from "../../../coordinator/service/objects.ts";
import { httpDate } from "../../http/index.ts";
import type { S3Request } from "../wire/request.ts";

const NONE: readonly string[] = [];

/**
 * When a rule of the bucket's lifecycle will let the object go. Days are whole ones here, also where they are made shorter to try rules out.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-expire-general-considerations.html
 */
export function expirationHeaders(
  { settings, key, query }: Pick<S3Request, "settings" | "key" | "query">,
  meta: ObjectMeta,
): readonly string[] {
  // Who asks for a version by its id may mean an older one, and such a date is of the current one.
  if (settings === undefined || settings.lifecycle.length === 0 || query.has("versionId")) return NONE;
  const { modifiedMs, sizeBytes, details } = meta;
  const tags = details?.labels?.tags;
  const subject = { name: key, createdMs: modifiedMs, sizeBytes, ...(tags === undefined ? {} : { tags }) };
  const expiry = expiryOf(settings.lifecycle, subject, DAY_MS);
  if (expiry === undefined) return NONE;
  return ["x-amz-expiration", `expiry-date="${httpDate(expiry.atMs)}", rule-id="${encodeURIComponent(expiry.ruleId)}"`];
}
