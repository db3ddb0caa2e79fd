import { escapeXml } from "../../../core/xml.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { s3Error } from "../wire/errors.ts";
import { delimiterOf, keyWriter, pageSize } from "./page-query.ts";
import { element } from "../wire/elements.ts";
import { listingXml, listPage } from "./object-page.ts";
import { NOBODY } from "../wire/owners.ts";
import type { Operation } from "../wire/request.ts";

/** A token is the last key of the page before, marked so that nothing else is taken for one. */
const TOKEN_MARK = "k:";

export const listObjectsV2: Operation = {
  name: "ListObjectsV2",
  action: "s3:ListBucket",
  bucket: "exists",
  async run(request, deps) {
    const { query, bucket, settings } = request;
    if (query.get("list-type") !== "2") {
      throw s3Error("InvalidArgument", "InvalidArgument", "Invalid List Type specified in Request", {
        argumentName: "list-type",
        argumentValue: (query.get("list-type") ?? "").slice(0, 100),
      });
    }
    const prefix = query.get("prefix") ?? "";
    const startAfter = query.get("start-after");
    const token = query.get("continuation-token");
    const limit = pageSize(query, "max-keys");
    const delimiter = delimiterOf(query);
    const { write, xml } = keyWriter(request);
    const after = token === undefined || token === "" ? (startAfter ?? "") : keyOfToken(token);
    const page = await listPage(request, deps, { prefix, delimiter, after, limit });
    const owner = query.get("fetch-owner")?.toLowerCase() === "true" ? (settings?.owner ?? NOBODY) : undefined;
    const next = page.next === undefined ? undefined : Buffer.from(TOKEN_MARK + page.next).toString("base64");
    const head = `<ListBucketResult ${S3_NAMESPACE}><Name>${escapeXml(bucket)}</Name><Prefix>${write(prefix)}</Prefix>${element("ContinuationToken", token === undefined ? undefined : escapeXml(token))}${element("NextContinuationToken", next)}${element("StartAfter", startAfter === undefined ? undefined : write(startAfter))}<KeyCount>${page.objects.length + page.prefixes.length}</KeyCount><MaxKeys>${limit}</MaxKeys>${element("Delimiter", delimiter === undefined ? undefined : write(delimiter))}${xml}<IsTruncated>${page.next !== undefined}</IsTruncated>`;
    sendXml(request, listingXml(page, { head, write, owner }), {
      headers: ["x-amz-bucket-region", deps.settings.region],
    });
  },
};

function keyOfToken(token: string): string {
  const text = Buffer.from(token, "base64").toString();
  if (text.startsWith(TOKEN_MARK)) return text.slice(TOKEN_MARK.length);
  throw s3Error("InvalidArgument", "InvalidArgument", "The continuation token provided is incorrect", {
    argumentName: "continuation-token",
  });
}
