import type { Conditions } from "../../../coordinator/service/objects.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import { parseEtags } from "../../http/index.ts";
import { s3Error } from "../wire/errors.ts";
import type { S3Deps, S3Request } from "../wire/request.ts";

export interface DeleteExpectation {
  readonly path: string;
  readonly versionId: string | undefined;
  readonly etag: string | string[] | undefined;
  readonly modified: string | string[] | undefined;
  readonly size: string | string[] | undefined;
}

/**
 * What must hold for a delete to happen. Time and size are looked at here, and the delete is then bound to the version that had them, so that
 * nothing else is deleted in its stead.
 */
export async function deleteConditions(
  { ctx }: Pick<S3Request, "ctx">,
  { service }: S3Deps,
  { path, versionId, etag, modified, size }: DeleteExpectation,
): Promise<{ readonly conditions?: Conditions }> {
  const ifMatch = parseEtags(etag === undefined ? undefined : String(etag), "If-Match", "skip");
  if (modified === undefined && size === undefined) return ifMatch === undefined ? {} : { conditions: { ifMatch } };
  const modifiedMs = modified === undefined ? undefined : timeOf(String(modified));
  const sizeBytes = size === undefined ? undefined : sizeOf(String(size));
  try {
    const { meta } = await service.headObject(ctx, path, versionId === undefined ? {} : { versionId });
    if (modifiedMs !== undefined && Math.floor(meta.modifiedMs / 1_000) !== Math.floor(modifiedMs / 1_000))
      throw failed("x-amz-if-match-last-modified-time");
    if (sizeBytes !== undefined && meta.sizeBytes !== sizeBytes) throw failed("x-amz-if-match-size");
    if (ifMatch !== undefined && !ifMatch.includes("*") && !ifMatch.includes(meta.etag)) throw failed("If-Match");
    return { conditions: { ifMatch: [meta.etag] } };
  } catch (error) {
    // What is not there can be deleted again: it has no time and no size that could differ.
    if (isGfsError(error, "NotFound")) return ifMatch === undefined ? {} : { conditions: { ifMatch } };
    throw error;
  }
}

function failed(condition: string): GfsError {
  return new GfsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", {
    op: "s3.delete",
    context: { condition },
  });
}

function timeOf(text: string): number {
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) throw invalid("x-amz-if-match-last-modified-time", text);
  return timeMs;
}

function sizeOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw invalid("x-amz-if-match-size", text);
  return Number(text);
}

function invalid(argumentName: string, argumentValue: string): GfsError {
  return s3Error("InvalidArgument", "InvalidArgument", `${argumentName} cannot be read.`, {
    argumentName,
    argumentValue: argumentValue.slice(0, 100),
  });
}
