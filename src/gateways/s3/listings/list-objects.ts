import { escapeXml } from "../../../core/xml.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { delimiterOf, keyWriter, pageSize } from "./page-query.ts";
import { element } from "../wire/elements.ts";
import { listingXml, listPage } from "./object-page.ts";
import { NOBODY } from "../wire/owners.ts";
import type { Operation } from "../wire/request.ts";

/** The first version, which pages by the name of the last key; older tools still use it. */
export const listObjects: Operation = {
  name: "ListObjects",
  action: "s3:ListBucket",
  bucket: "exists",
  async run(request, deps) {
    const { query, bucket, settings } = request;
    const prefix = query.get("prefix") ?? "";
    const marker = query.get("marker") ?? "";
    const limit = pageSize(query, "max-keys");
    const delimiter = delimiterOf(query);
    const { write, xml } = keyWriter(request);
    const page = await listPage(request, deps, { prefix, delimiter, after: marker, limit });
    const owner = settings?.owner ?? NOBODY;
    const head = `<ListBucketResult ${S3_NAMESPACE}><Name>${escapeXml(bucket)}</Name><Prefix>${write(prefix)}</Prefix><Marker>${write(marker)}</Marker>${element("NextMarker", page.next === undefined ? undefined : write(page.next))}<MaxKeys>${limit}</MaxKeys>${element("Delimiter", delimiter === undefined ? undefined : write(delimiter))}${xml}<IsTruncated>${page.next !== undefined}</IsTruncated>`;
    sendXml(request, listingXml(page, { head, write, owner }), {
      headers: ["x-amz-bucket-region", deps.settings.region],
    });
  },
};
