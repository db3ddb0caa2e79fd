import type { Upload } from "../../../coordinator/service/uploads.ts";
import { escapeXml } from "../../../core/xml.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { mayHoldKeys, pathPrefix } from "../buckets/key-space.ts";
import { commonPrefixes, delimiterOf, keyWriter, pageSize } from "../listings/page-query.ts";
import { element, isoTime } from "../wire/elements.ts";
import { ownerFields } from "../wire/owners.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";
import { type Place, type RolledUp, rollUp } from "../listings/roll-up.ts";

export const listMultipartUploads: Operation = {
  name: "ListMultipartUploads",
  action: "s3:ListBucketMultipartUploads",
  bucket: "exists",
  async run(request, deps) {
    const { query, bucket, settings } = request;
    const prefix = query.get("prefix") ?? "";
    const keyMarker = query.get("key-marker") ?? "";
    const idMarker = query.get("upload-id-marker") ?? "";
    const limit = pageSize(query, "max-uploads");
    const delimiter = delimiterOf(query);
    const { write, xml } = keyWriter(request);
    // Without a key, S3 takes no notice of the id.
    const after = keyMarker === "" ? undefined : { key: keyMarker, ...(idMarker === "" ? {} : { id: idMarker }) };
    const page = await listPage(request, deps, { prefix, delimiter, after, limit });
    const rows = page.items.map(({ key, uploadId, startedMs, owner, checksum }) => {
      const fields = ownerFields(owner ?? settings?.owner);
      const kind = checksum?.kind === "full" ? "FULL_OBJECT" : "COMPOSITE";
      return `<Upload><Key>${write(key)}</Key><UploadId>${escapeXml(uploadId)}</UploadId><Initiator>${fields}</Initiator><Owner>${fields}</Owner><StorageClass>STANDARD</StorageClass><Initiated>${isoTime(startedMs)}</Initiated>${element("ChecksumAlgorithm", checksum?.algorithm)}${element("ChecksumType", checksum === undefined ? undefined : kind)}</Upload>`;
    });
    const { next } = page;
    sendXml(
      request,
      `<ListMultipartUploadsResult ${S3_NAMESPACE}><Bucket>${escapeXml(bucket)}</Bucket><KeyMarker>${write(keyMarker)}</KeyMarker><UploadIdMarker>${escapeXml(idMarker)}</UploadIdMarker>${next === undefined ? "" : `<NextKeyMarker>${write(next.key)}</NextKeyMarker><NextUploadIdMarker>${escapeXml(next.id ?? "")}</NextUploadIdMarker>`}<Prefix>${write(prefix)}</Prefix>${element("Delimiter", delimiter === undefined ? undefined : write(delimiter))}${xml}<MaxUploads>${limit}</MaxUploads><IsTruncated>${next !== undefined}</IsTruncated>${rows.join("")}${commonPrefixes(page.prefixes, write)}</ListMultipartUploadsResult>`,
    );
  },
};

interface UploadQuery {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly after: Place | undefined;
  readonly limit: number;
}

const PAGE = 1_000;

async function listPage(request: S3Request, deps: S3Deps, query: UploadQuery): Promise<RolledUp<Upload>> {
  const { ctx, bucket } = request;
  const { service, settings } = deps;
  const root = pathPrefix(settings, bucket);
  const prefix = root + query.prefix;
  if (query.limit === 0 || !mayHoldKeys(query.prefix)) return { items: [], prefixes: [] };
  const begin = query.after === undefined ? undefined : { ...query.after, key: root + query.after.key };
  const list = async (after: Place | undefined, limit: number, delimiter?: "/"): Promise<RolledUp<Upload>> => {
    const { uploads, prefixes, next } = await service.listUploads(ctx, {
      prefix,
      limit,
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(after === undefined ? {} : { afterKey: after.key }),
      ...(after?.id === undefined ? {} : { afterUploadId: after.id }),
    });
    const place =
      next === undefined
        ? {}
        : { next: { key: next.key, ...(next.uploadId === undefined ? {} : { id: next.uploadId }) } };
    return { items: uploads, prefixes, ...place };
  };
  const found =
    query.delimiter === undefined || query.delimiter === "/"
      ? await list(begin, query.limit, query.delimiter)
      : await rollUp(
          async (after) => {
            const { items, next } = await list(after, PAGE);
            return {
              items: items.map((value) => ({ key: value.key, id: value.uploadId, value })),
              ...(next === undefined ? {} : { next }),
            };
          },
          { prefix, delimiter: query.delimiter, after: begin, limit: query.limit },
        );
  return {
    items: found.items.map((upload) => ({ ...upload, key: upload.key.slice(root.length) })),
    prefixes: found.prefixes.map((name) => name.slice(root.length)),
    ...(found.next === undefined ? {} : { next: { ...found.next, key: found.next.key.slice(root.length) } }),
  };
}
