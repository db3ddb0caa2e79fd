import type { DeleteOutcome, DeleteRequest, DeleteResult } from "../../../coordinator/service/objects.ts";
import { forEachBounded } from "../../../core/async/for-each.ts";
import { isGfsError } from "../../../core/errors.ts";
import { childrenNamed, childText, escapeXml, type XmlElement } from "../../../core/xml.ts";
import { asksBypass, authorizeKey } from "../access/index.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { deleteConditions } from "./delete-conditions.ts";
import { malformedXml, readDocument } from "../wire/documents.ts";
import { describeFailure } from "../wire/error-answer.ts";
import { s3Error } from "../wire/errors.ts";
import { pathIn } from "../buckets/key-space.ts";
import { element } from "../wire/elements.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";
import { ownerOf } from "./write-headers.ts";

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
    const asked: Asked[] = [];
    const refused: string[] = [];
    await forEachBounded(wanted, CONCURRENCY, async (object, index) => {
      const found = await checkOne(request, deps, { object, refused });
      if (typeof found === "string") answers[index] = found;
      else asked.push({ ...found, index });
    });
    const outcomes = await deps.service.deleteObjects(
      request.ctx,
      asked.map(({ order }) => order),
    );
    request.told.paths = asked.map(({ order }) => order.key);
    request.told.refusedPaths = refused;
    for (const [position, one] of asked.entries()) {
      const outcome = outcomes[position] as DeleteOutcome;
      if ("error" in outcome) answers[one.index] = failedXml(request, one, outcome.error);
      else if (!quiet) answers[one.index] = deletedXml(one, outcome.result);
    }
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

/** What one element of the request names. */
interface Named {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly target: S3Request;
}

interface Checked extends Named {
  readonly order: DeleteRequest;
}

interface Asked extends Checked {
  readonly index: number;
}

/** What is to be deleted, or the answer that says why it is not. */
async function checkOne(
  request: S3Request,
  deps: S3Deps,
  { object, refused }: { readonly object: XmlElement; readonly refused: string[] },
): Promise<Checked | string> {
  const key = childText(object, "Key") ?? "";
  const versionId = childText(object, "VersionId");
  const query = new Map(versionId === undefined ? [] : [["versionId", versionId]]);
  const path = pathIn(deps.settings, request.bucket, key);
  const target: S3Request = { ...request, method: "DELETE", key, query, path };
  const named: Named = { key, versionId, target };
  try {
    if (key === "") throw malformedXml("names an object without a Key");
    const allowed = authorizeKey(request, { action: "s3:DeleteObject", key, versionId }, deps);
    if (allowed !== undefined) await allowed;
    const conditions = await deleteConditions(target, deps, {
      path,
      versionId,
      etag: childText(object, "ETag"),
      modified: childText(object, "LastModifiedTime"),
      size: childText(object, "Size"),
    });
    const order: DeleteRequest = {
      key: path,
      ...conditions,
      ...ownerOf(request),
      ...(versionId === undefined ? {} : { versionId }),
      ...(asksBypass(request) ? { bypassGovernance: true } : {}),
    };
    return { ...named, order };
  } catch (error) {
    if (isGfsError(error, "PermissionDenied")) refused.push(path);
    return failedXml(request, named, error);
  }
}

function deletedXml(one: Named, { deleteMarker, versionId }: DeleteResult): string {
  const marker =
    deleteMarker === true
      ? `<DeleteMarker>true</DeleteMarker>${element("DeleteMarkerVersionId", versionId === undefined ? undefined : escapeXml(versionId))}`
      : "";
  return `<Deleted>${nameXml(one)}${marker}</Deleted>`;
}

function failedXml({ ctx, http }: S3Request, one: Named, error: unknown): string {
  const { code, message } = describeFailure(error, { ctx, http, target: one.target });
  return `<Error>${nameXml(one)}<Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
}

function nameXml({ key, versionId }: Named): string {
  return `${element("Key", escapeXml(key))}${element("VersionId", versionId === undefined ? undefined : escapeXml(versionId))}`;
}
