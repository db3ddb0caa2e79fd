import { forEachBounded } from "../../../core/async/for-each.ts";
import { childrenNamed, childText, escapeXml, type XmlElement } from "../../../core/xml.ts";
import { asksBypass, authorizeKey } from "../access/index.ts";
import { S3_NAMESPACE, sendXml } from "../answer.ts";
import { deleteConditions } from "../delete-conditions.ts";
import { malformedXml, readDocument } from "../documents.ts";
import { describeFailure } from "../errors.ts";
import { s3Error } from "../failure.ts";
import { pathIn } from "../key-space.ts";
import { element } from "../list-query.ts";
import type { Operation, S3Deps, S3Request } from "../request.ts";
import { ownerOf } from "../write-headers.ts";

const MAX_KEYS = 1_000;
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;
const CONCURRENCY = 32;

/** Each key is authorised and deleted by itself; the answer tells of each what became of it. */
export const deleteObjects: Operation = {
  name: "DeleteObjects",
  action: "s3:DeleteObject",
  bucket: "exists",
  async run(request, deps) {
    checkDigestGiven(request);
    const document = await readDocument(request.body, { root: "Delete", limitBytes: MAX_DOCUMENT_BYTES });
    if (document === undefined) throw malformedXml("is empty");
    const wanted = childrenNamed(document, "Object");
    if (wanted.length === 0 || wanted.length > MAX_KEYS)
      throw malformedXml(`names ${wanted.length} objects; 1 to ${MAX_KEYS} can be deleted at once`);
    const quiet = childText(document, "Quiet")?.trim().toLowerCase() === "true";
    const answers: string[] = Array.from({ length: wanted.length }, () => "");
    await forEachBounded(wanted, CONCURRENCY, async (object, index) => {
      answers[index] = await deleteOne(request, deps, { object, quiet });
    });
    sendXml(request, `<DeleteResult ${S3_NAMESPACE}>${answers.join("")}</DeleteResult>`);
  },
};

/** A body that lost a byte on its way would delete something else. */
function checkDigestGiven({ http, body }: S3Request): void {
  const { headers } = http;
  const stated =
    headers["content-md5"] !== undefined ||
    headers["x-amz-trailer"] !== undefined ||
    body.expected.sha256Hex !== undefined ||
    Object.keys(headers).some((name) => name.startsWith("x-amz-checksum-"));
  if (!stated)
    throw s3Error(
      "InvalidArgument",
      "InvalidRequest",
      "Missing required header for this request: Content-MD5 or x-amz-checksum-*",
    );
}

async function deleteOne(
  request: S3Request,
  deps: S3Deps,
  { object, quiet }: { readonly object: XmlElement; readonly quiet: boolean },
): Promise<string> {
  const { ctx, http, bucket } = request;
  const key = childText(object, "Key") ?? "";
  const versionId = childText(object, "VersionId");
  const query = new Map(versionId === undefined ? [] : [["versionId", versionId]]);
  const one: S3Request = { ...request, method: "DELETE", key, query, path: pathIn(deps.settings, bucket, key) };
  try {
    if (key === "") throw malformedXml("names an object without a Key");
    const allowed = authorizeKey(request, { action: "s3:DeleteObject", key, versionId }, deps);
    if (allowed !== undefined) await allowed;
    const conditions = await deleteConditions(one, deps, {
      path: one.path,
      versionId,
      etag: childText(object, "ETag"),
      modified: childText(object, "LastModifiedTime"),
      size: childText(object, "Size"),
    });
    const { deleteMarker, versionId: deleted } = await deps.service.deleteObject(ctx, one.path, {
      ...conditions,
      ...ownerOf(request),
      ...(versionId === undefined ? {} : { versionId }),
      ...(asksBypass(request) ? { bypassGovernance: true } : {}),
    });
    if (quiet) return "";
    const marker =
      deleteMarker === true
        ? `<DeleteMarker>true</DeleteMarker>${element("DeleteMarkerVersionId", deleted === undefined ? undefined : escapeXml(deleted))}`
        : "";
    return `<Deleted>${element("Key", escapeXml(key))}${element("VersionId", versionId === undefined ? undefined : escapeXml(versionId))}${marker}</Deleted>`;
  } catch (error) {
    const { code, message } = describeFailure(error, { ctx, http, target: one });
    return `<Error>${element("Key", escapeXml(key))}${element("VersionId", versionId === undefined ? undefined : escapeXml(versionId))}<Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  }
}
