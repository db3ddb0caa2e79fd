import type { Bucket, ObjectMeta } from "../../../coordinator/service.ts";
import { isGfsError } from "../../../core/errors.ts";
import { pathIn } from "../buckets/key-space.ts";
import type { S3Deps, S3Request } from "../wire/request.ts";
import { actionOnVersion } from "./actions.ts";

/** One thing that somebody wants to do: a request asks one question, or several, such as a copy that also reads. */
export interface Question {
  readonly action: string;
  readonly bucketName: string;
  /** Undefined while there is none of that name. */
  readonly bucket: Bucket | undefined;
  /** Empty: about the bucket as a whole. */
  readonly key: string;
  /** Of the key in the namespace; of the bucket when there is no key. */
  readonly path: string;
  readonly versionId?: string;
  /** Of a listing. */
  readonly prefix?: string;
  /** Only whether the bucket is there. */
  readonly presence?: boolean;
  readonly requestTags?: Readonly<Record<string, string>>;
  /** Looked up at most once, and only when nothing else decides. Undefined: there is no such object. */
  readonly meta: () => Promise<ObjectMeta | undefined>;
}

export interface ObjectQuestion {
  readonly action: string;
  readonly bucketName: string;
  readonly bucket: Bucket | undefined;
  readonly key: string;
  readonly versionId?: string | undefined;
  readonly requestTags?: Readonly<Record<string, string>> | undefined;
}

export function askObject(request: S3Request, deps: S3Deps, about: ObjectQuestion): Question {
  const path = pathIn(deps.settings, about.bucketName, about.key);
  const { versionId, requestTags } = about;
  return {
    action: actionOnVersion(about.action, versionId),
    bucketName: about.bucketName,
    bucket: about.bucket,
    key: about.key,
    path,
    ...(versionId === undefined ? {} : { versionId }),
    ...(requestTags === undefined ? {} : { requestTags }),
    meta: once(async () => await findMeta(request, deps, path, versionId)),
  };
}

export function askBucket(
  deps: S3Deps,
  about: Pick<Question, "action" | "bucketName" | "bucket"> & { readonly prefix?: string; readonly presence?: boolean },
): Question {
  return {
    ...about,
    key: "",
    path: bucketPath(deps, about.bucketName),
    meta: () => Promise.resolve(undefined),
  };
}

export function bucketPath({ settings }: S3Deps, bucketName: string): string {
  return settings.rootBucket === undefined ? bucketName : "";
}

async function findMeta(
  request: S3Request,
  deps: S3Deps,
  path: string,
  versionId: string | undefined,
): Promise<ObjectMeta | undefined> {
  try {
    const { meta } = await deps.service.headObject(request.ctx, path, versionId === undefined ? {} : { versionId });
    return meta;
  } catch (error) {
    // What is no object, or could not be one, has no owner, list or tags; the operation itself will say what is wrong with it.
    if (
      isGfsError(error, "NotFound", "MethodNotAllowed", "InvalidKey", "KeyTooLong", "InvalidArgument", "IsADirectory")
    )
      return undefined;
    throw error;
  }
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined;
  return async () => await (begun ??= work());
}
