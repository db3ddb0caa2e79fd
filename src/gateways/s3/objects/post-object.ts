import type { ObjectMeta } from "../../../coordinator/service/objects.ts";
import { GfsError } from "../../../core/errors.ts";
import { escapeXml, parseXml } from "../../../core/xml.ts";
import { authorize } from "../access/index.ts";
import { sendEmpty, sendXml } from "../wire/answer.ts";
import { formOf, type PostForm } from "../auth/index.ts";
import { malformedXml } from "../wire/documents.ts";
import { s3Error } from "../wire/errors.ts";
import { locationOf } from "../wire/location.ts";
import { pendingHeaders } from "./object-headers.ts";
import type { Operation, S3Request } from "../wire/request.ts";
import { attributesOf } from "./write-headers.ts";
import { readTagging } from "./tag-set.ts";
import { putObject, writtenHeaders } from "./put-object.ts";

const MAX_TAGS = 10;

/**
 * A form that a browser sends, with a file in it. The gate has checked the form's signature and policy, and shows its fields as the headers
 * that a PUT of the same object would have, so that all that holds for a PUT holds for a form.
 */
export const postObject: Operation = {
  name: "PostObject",
  action: "s3:PutObject",
  bucket: "exists",
  async run(request, deps) {
    const { ctx, body, path, http } = request;
    const form = formOf(body);
    if (form === undefined) {
      throw new GfsError("MethodNotAllowed", "A POST to a bucket is a form: send multipart/form-data.", {
        op: "s3.post",
      });
    }
    const key = form.fields.get("key");
    if (key === undefined || key !== request.key)
      throw new GfsError("Internal", "The form was authorised for another key.");
    const tagging = form.fields.get("tagging");
    if (tagging !== undefined) http.headers["x-amz-tagging"] = taggingHeader(tagging);
    // Once more as the PUT that it is, with what the fields ask beside the object itself.
    await authorize(request, putObject, deps);
    const { meta, pendingSites } = await deps.service.putObject(ctx, {
      key: path,
      body: body.stream(),
      md5Etag: true,
      checksum: () => body.checksum(),
      ...attributesOf(request),
    });
    answer(request, form, { meta, headers: [...writtenHeaders(request, meta), ...pendingHeaders(pendingSites)] });
  },
};

function taggingHeader(document: string): string {
  const element = parseXml(document, { refuse: malformedXml, maxCharacters: 20_480, maxElements: 100 });
  if (element.name !== "Tagging") throw malformedXml("is no Tagging");
  const tags = readTagging(element, { maxTags: MAX_TAGS });
  return new URLSearchParams(Object.entries(tags)).toString();
}

interface Stored {
  readonly meta: ObjectMeta;
  readonly headers: readonly string[];
}

/** As the form asks: a redirection, or one of three statuses. */
function answer(request: S3Request, { fields }: PostForm, { meta, headers }: Stored): void {
  const { bucket, key } = request;
  const redirect = redirectOf(fields);
  if (redirect !== undefined) {
    redirect.searchParams.append("bucket", bucket);
    redirect.searchParams.append("key", key);
    redirect.searchParams.append("etag", `"${meta.etag}"`);
    sendEmpty(request, 303, [...headers, "Location", redirect.href]);
    return;
  }
  const location = locationOf(request, key);
  const place = [...headers, "Location", location];
  const status = fields.get("success_action_status");
  if (status === "201") {
    sendXml(
      request,
      `<PostResponse><Location>${escapeXml(location)}</Location><Bucket>${escapeXml(bucket)}</Bucket><Key>${escapeXml(key)}</Key><ETag>${escapeXml(`"${meta.etag}"`)}</ETag></PostResponse>`,
      { status: 201, headers: place },
    );
    return;
  }
  sendEmpty(request, status === "200" ? 200 : 204, place);
}

/** An address that is none is left out, as S3 does; one that is no web page would run in the browser. */
function redirectOf(fields: ReadonlyMap<string, string>): URL | undefined {
  const text = fields.get("success_action_redirect") ?? fields.get("redirect");
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol === "http:" || url.protocol === "https:") return url;
  throw s3Error("InvalidArgument", "InvalidArgument", "success_action_redirect must be an http or https address.", {
    argumentName: "success_action_redirect",
  });
}
