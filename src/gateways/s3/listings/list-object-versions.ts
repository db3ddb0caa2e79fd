import type { ListVersionsResult, VersionEntry } from "../../../coordinator/service/versions.ts";
import { escapeXml } from "../../../core/xml.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { s3Error } from "../wire/errors.ts";
import { mayHoldKeys, pathPrefix } from "../buckets/key-space.ts";
import { commonPrefixes, delimiterOf, keyWriter, type KeyWriter, pageSize } from "./page-query.ts";
import { element, isoTime } from "../wire/elements.ts";
import { whole } from "./object-page.ts";
import { NOBODY, ownerFields } from "../wire/owners.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";
import { type Place, type RolledUp, rollUp } from "./roll-up.ts";

export const listObjectVersions: Operation = {
  name: "ListObjectVersions",
  action: "s3:ListBucketVersions",
  bucket: "exists",
  async run(request, deps) {
    const { query, bucket, settings } = request;
    const prefix = query.get("prefix") ?? "";
    const keyMarker = query.get("key-marker") ?? "";
    const versionMarker = query.get("version-id-marker");
    if (versionMarker !== undefined && keyMarker === "" && versionMarker !== "") {
      throw s3Error(
        "InvalidArgument",
        "InvalidArgument",
        "A version-id marker cannot be specified without a key marker.",
        { argumentName: "version-id-marker", argumentValue: versionMarker.slice(0, 100) },
      );
    }
    const limit = pageSize(query, "max-keys");
    const delimiter = delimiterOf(query);
    const { write, xml } = keyWriter(request);
    const after =
      keyMarker === ""
        ? undefined
        : { key: keyMarker, ...(versionMarker === undefined || versionMarker === "" ? {} : { id: versionMarker }) };
    const page = await listPage(request, deps, { prefix, delimiter, after, limit });
    const owner = settings?.owner ?? NOBODY;
    sendXml(
      request,
      `<ListVersionsResult ${S3_NAMESPACE}><Name>${escapeXml(bucket)}</Name><Prefix>${write(prefix)}</Prefix><KeyMarker>${write(keyMarker)}</KeyMarker><VersionIdMarker>${write(versionMarker ?? "")}</VersionIdMarker>${nextXml(page.next, write)}<MaxKeys>${limit}</MaxKeys>${element("Delimiter", delimiter === undefined ? undefined : write(delimiter))}${xml}<IsTruncated>${page.next !== undefined}</IsTruncated>${page.items.map((entry) => entryXml(entry, write, owner)).join("")}${commonPrefixes(page.prefixes, write)}</ListVersionsResult>`,
    );
  },
};

function nextXml(next: Place | undefined, write: KeyWriter): string {
  if (next === undefined) return "";
  return (
    element("NextKeyMarker", write(next.key)) +
    element("NextVersionIdMarker", next.id === undefined ? undefined : escapeXml(next.id))
  );
}

interface VersionQuery {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly after: Place | undefined;
  readonly limit: number;
}

const PAGE = 1_000;

async function listPage(request: S3Request, deps: S3Deps, query: VersionQuery): Promise<RolledUp<VersionEntry>> {
  const { ctx, bucket } = request;
  const { service, settings } = deps;
  const root = pathPrefix(settings, bucket);
  const prefix = root + query.prefix;
  if (query.limit === 0 || !mayHoldKeys(query.prefix)) return { items: [], prefixes: [] };
  const begin: Place | undefined =
    query.after === undefined
      ? root === ""
        ? undefined
        : { key: root }
      : { ...query.after, key: root + query.after.key };
  const list = async (after: Place | undefined, limit: number, delimiter?: "/"): Promise<ListVersionsResult> =>
    whole(
      await service.listVersions(ctx, {
        prefix,
        limit,
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(after === undefined ? {} : { afterKey: after.key }),
        ...(after?.id === undefined ? {} : { afterVersionId: after.id }),
      }),
    );
  const placeOf = ({ next }: ListVersionsResult): { readonly next?: Place } =>
    next === undefined
      ? {}
      : { next: { key: next.key, ...(next.versionId === undefined ? {} : { id: next.versionId }) } };
  if (query.delimiter === undefined || query.delimiter === "/") {
    const page = await list(begin, query.limit, query.delimiter);
    return shown({ items: page.entries, prefixes: page.prefixes, ...placeOf(page) }, root);
  }
  const rolled = await rollUp(
    async (after) => {
      const page = await list(after, PAGE);
      return {
        items: page.entries.map((value) => ({ key: value.key, id: value.versionId, value })),
        ...placeOf(page),
      };
    },
    { prefix, delimiter: query.delimiter, after: begin, limit: query.limit },
  );
  return shown(rolled, root);
}

function shown({ items, prefixes, next }: RolledUp<VersionEntry>, root: string): RolledUp<VersionEntry> {
  return {
    items: items.map((entry) => ({ ...entry, key: entry.key.slice(root.length) })),
    prefixes: prefixes.map((prefix) => prefix.slice(root.length)),
    ...(next === undefined ? {} : { next: { ...next, key: next.key.slice(root.length) } }),
  };
}

function entryXml(entry: VersionEntry, write: KeyWriter, bucketOwner: string): string {
  const { key, versionId, isLatest, modifiedMs, owner, meta } = entry;
  const head = `<Key>${write(key)}</Key><VersionId>${versionId}</VersionId><IsLatest>${isLatest}</IsLatest><LastModified>${isoTime(modifiedMs)}</LastModified>`;
  const tail = `<Owner>${ownerFields(owner ?? bucketOwner)}</Owner>`;
  if (meta === undefined) return `<DeleteMarker>${head}${tail}</DeleteMarker>`;
  const checksum = meta.details?.checksum;
  const algorithm =
    checksum === undefined
      ? ""
      : `<ChecksumAlgorithm>${checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${checksum.kind === "full" ? "FULL_OBJECT" : "COMPOSITE"}</ChecksumType>`;
  return `<Version>${head}<ETag>&quot;${meta.etag}&quot;</ETag>${algorithm}<Size>${meta.sizeBytes}</Size><StorageClass>STANDARD</StorageClass>${tail}</Version>`;
}
