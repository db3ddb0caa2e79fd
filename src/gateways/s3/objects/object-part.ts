import type { ObjectMeta } from "../../../coordinator/service/objects.ts";
import { s3Error } from "../wire/errors.ts";
import type { S3Deps, S3Request } from "../wire/request.ts";

/** One part of an object as it was uploaded, which `partNumber` asks for. */
export interface PartSpan {
  /** Absent where the part is empty, as the only part of an empty object is. */
  readonly span: { readonly start: number; readonly end: number } | undefined;
  /** How many parts there are; absent when the object came in one piece. */
  readonly count?: number;
  readonly checksum?: string;
}

export async function partAsked(
  { ctx, query, path, http }: S3Request,
  { service }: S3Deps,
  meta: ObjectMeta,
): Promise<PartSpan | undefined> {
  const text = query.get("partNumber");
  if (text === undefined) return undefined;
  const partNumber = Number(text);
  if (!/^\d{1,5}$/.test(text) || partNumber < 1 || partNumber > 10_000) {
    throw s3Error(
      "InvalidArgument",
      "InvalidArgument",
      "Part number must be an integer between 1 and 10000, inclusive",
      {
        argumentName: "partNumber",
        argumentValue: text.slice(0, 100),
      },
    );
  }
  if (http.headers.range !== undefined)
    throw s3Error(
      "InvalidArgument",
      "InvalidRequest",
      "Cannot specify both Range header and partNumber query parameter",
    );
  const versionId = query.get("versionId") ?? (meta.details?.versioned === true ? meta.versionId : undefined);
  const parts = await service.versionParts(ctx, path, versionId === undefined ? {} : { versionId });
  if (parts.length === 0) {
    if (partNumber !== 1) throw noSuchPart();
    return { span: meta.sizeBytes === 0 ? undefined : { start: 0, end: meta.sizeBytes } };
  }
  let start = 0;
  // The parts are numbered anew, without the gaps that the upload may have had.
  for (const [index, part] of parts.entries()) {
    const end = start + part.sizeBytes;
    if (index + 1 === partNumber) {
      return {
        span: start === end ? undefined : { start, end },
        count: parts.length,
        ...(part.checksum === undefined ? {} : { checksum: part.checksum }),
      };
    }
    start = end;
  }
  throw noSuchPart();
}

function noSuchPart(): Error {
  return s3Error("InvalidArgument", "InvalidPart", "The requested partnumber is not satisfiable");
}
