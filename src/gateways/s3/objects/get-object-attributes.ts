import type { ObjectMeta } from "../../../coordinator/service/objects.ts";
import { httpDate } from "../../http/index.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { s3Error } from "../wire/errors.ts";
import { checksumXml, shownVersionId } from "./object-headers.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";

const KNOWN = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"] as const;
const MAX_PARTS = 1_000;

export const getObjectAttributes: Operation = {
  name: "GetObjectAttributes",
  action: "s3:GetObjectAttributes",
  bucket: "exists",
  async run(request, deps) {
    const { ctx, path, query, settings } = request;
    const asked = attributesAsked(request);
    const versionId = query.get("versionId");
    const { meta } = await deps.service.headObject(ctx, path, versionId === undefined ? {} : { versionId });
    const checksum = meta.details?.checksum;
    const fields = [
      asked.has("ETag") ? `<ETag>${meta.etag}</ETag>` : "",
      asked.has("Checksum") && checksum !== undefined ? `<Checksum>${checksumXml(checksum)}</Checksum>` : "",
      asked.has("ObjectParts") && meta.details?.partCount !== undefined ? await partsXml(request, deps, meta) : "",
      asked.has("StorageClass") ? "<StorageClass>STANDARD</StorageClass>" : "",
      asked.has("ObjectSize") ? `<ObjectSize>${meta.sizeBytes}</ObjectSize>` : "",
    ];
    const shown = shownVersionId(meta, settings);
    sendXml(request, `<GetObjectAttributesResponse ${S3_NAMESPACE}>${fields.join("")}</GetObjectAttributesResponse>`, {
      headers: [
        "Last-Modified",
        httpDate(meta.modifiedMs),
        ...(shown === undefined ? [] : ["x-amz-version-id", shown]),
      ],
    });
  },
};

function attributesAsked({ http }: S3Request): ReadonlySet<string> {
  const header = http.headers["x-amz-object-attributes"];
  const names = String(header ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const strange = names.find((name) => !KNOWN.some((known) => known === name));
  if (names.length === 0 || strange !== undefined) {
    throw s3Error(
      "InvalidArgument",
      names.length === 0 ? "InvalidRequest" : "InvalidArgument",
      `The x-amz-object-attributes header names some of ${KNOWN.join(", ")}.`,
      { argumentName: "x-amz-object-attributes", argumentValue: (strange ?? "").slice(0, 100) },
    );
  }
  return new Set(names);
}

async function partsXml({ ctx, path, query, http }: S3Request, { service }: S3Deps, meta: ObjectMeta): Promise<string> {
  const limit = count(http.headers["x-amz-max-parts"], "x-amz-max-parts", MAX_PARTS);
  const marker = count(http.headers["x-amz-part-number-marker"], "x-amz-part-number-marker", 0);
  const versionId = query.get("versionId") ?? (meta.details?.versioned === true ? meta.versionId : undefined);
  const kept = await service.versionParts(ctx, path, versionId === undefined ? {} : { versionId });
  // Numbered anew, as reads by part number have them: an upload may leave gaps.
  const all = kept.map((part, index) => ({ ...part, partNumber: index + 1 }));
  const following = all.filter(({ partNumber }) => partNumber > marker);
  const page = following.slice(0, Math.min(limit, MAX_PARTS));
  const algorithm = meta.details?.checksum?.algorithm;
  const parts = page.map(({ partNumber, sizeBytes, checksum }) => {
    const known = algorithm !== undefined && checksum !== undefined;
    const checksumField = known ? `<Checksum${algorithm}>${checksum}</Checksum${algorithm}>` : "";
    return `<Part>${checksumField}<PartNumber>${partNumber}</PartNumber><Size>${sizeBytes}</Size></Part>`;
  });
  const next = page.at(-1)?.partNumber ?? 0;
  return `<ObjectParts><PartsCount>${all.length}</PartsCount><PartNumberMarker>${marker}</PartNumberMarker><NextPartNumberMarker>${next}</NextPartNumberMarker><MaxParts>${limit}</MaxParts><IsTruncated>${page.length < following.length}</IsTruncated>${parts.join("")}</ObjectParts>`;
}

function count(value: string | string[] | undefined, name: string, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(String(value))) {
    throw s3Error("InvalidArgument", "InvalidArgument", `${name} must be a whole number.`, {
      argumentName: name,
      argumentValue: String(value).slice(0, 100),
    });
  }
  return Number(value);
}
