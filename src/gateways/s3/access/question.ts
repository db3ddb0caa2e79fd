import { actionOnVersion, askListing, askPath, type Asker, once, type Question } from "../../../security/index.ts";
import type { Bucket } from "../../../coordinator/service/buckets.ts";
import { originOf } from "../../http/index.ts";
import { pathIn } from "../buckets/key-space.ts";
import type { S3Deps, S3Request } from "../wire/request.ts";

/** Requests of S3 as the questions that access decides. */

export function askerOf(request: S3Request, { clock }: Pick<S3Deps, "clock">): Asker {
  const { identity, http, query } = request;
  const { address, tlsVersion } = originOf(http);
  return {
    identity,
    clock,
    circumstances: {
      address,
      tlsVersion,
      header(name) {
        const value = http.headers[name];
        return Array.isArray(value) ? value.join(",") : value;
      },
      parameter: (name) => query.get(name),
    },
  };
}

export interface ObjectQuestion {
  readonly action: string;
  readonly bucketName: string;
  readonly bucket: Bucket | undefined;
  readonly key: string;
  readonly versionId?: string | undefined;
  readonly requestTags?: Readonly<Record<string, string>> | undefined;
}

/** Where one bucket is the whole tree, the directory at the top is asked all the same: its policy holds through this door as well. */
export function askObject(request: S3Request, deps: S3Deps, about: ObjectQuestion): Question | Promise<Question> {
  const { ctx } = request;
  const { action, bucketName, bucket, key, versionId, requestTags } = about;
  const tags = requestTags === undefined ? {} : { requestTags };
  if (deps.settings.rootBucket !== undefined) {
    const question = askPath(ctx, deps.service, key, { action, versionId });
    return question instanceof Promise ? question.then((asked) => ({ ...asked, ...tags })) : { ...question, ...tags };
  }
  const path = pathIn(deps.settings, bucketName, key);
  return {
    action: actionOnVersion(action, versionId),
    bucketName,
    bucket,
    key,
    path,
    ...(versionId === undefined ? {} : { versionId }),
    ...tags,
    object: once(async () => await deps.service.describeObject(ctx, path, versionId)),
  };
}

export interface BucketQuestion {
  readonly action: string;
  readonly bucketName: string;
  readonly bucket: Bucket | undefined;
  /** Of a listing. */
  readonly prefix?: string | undefined;
  readonly presence?: boolean;
  readonly isListing?: boolean;
}

export function askBucket(deps: S3Deps, about: BucketQuestion): Question | Promise<Question> {
  const { action, bucketName, bucket, prefix, presence, isListing } = about;
  const { rootBucket } = deps.settings;
  if (rootBucket !== undefined && isListing === true && prefix?.includes("/") === true) {
    const question = askListing(deps.service, prefix);
    return question instanceof Promise ? question.then((asked) => ({ ...asked, action })) : { ...question, action };
  }
  return {
    action,
    bucketName,
    bucket,
    key: "",
    path: rootBucket === undefined ? bucketName : "",
    ...(presence === true ? { presence } : {}),
    ...(prefix === undefined ? {} : { prefix }),
    ...(isListing === true ? { listed: pathIn(deps.settings, bucketName, prefix ?? "") } : {}),
    object: async () => await Promise.resolve(undefined),
  };
}
