import type { Bucket, CoordinatorService } from "../../../coordinator/index.ts";
import { escapeXml } from "../../../core/xml.ts";
import { seesBucket } from "../access/index.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { s3Error } from "../wire/errors.ts";
import { wholeTree } from "./key-space.ts";
import { element, isoTime } from "../wire/elements.ts";
import { pageSize } from "../listings/page-query.ts";
import { ownerFields } from "../wire/owners.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";

const MAX_BUCKETS = 10_000;

/** The buckets that the caller owns or may reach into; of others nothing is told. */
export const listBuckets: Operation = {
  name: "ListBuckets",
  action: "s3:ListAllMyBuckets",
  bucket: "none",
  async run(request, deps) {
    const { query, identity } = request;
    const limit = pageSize(query, "max-buckets", MAX_BUCKETS);
    if (limit === 0)
      throw s3Error("InvalidArgument", "InvalidArgument", "max-buckets must be an integer from 1 to 10000.", {
        argumentName: "max-buckets",
        argumentValue: "0",
      });
    const prefix = query.get("prefix") ?? "";
    const { buckets, more } = await visibleBuckets(request, deps, { prefix, limit });
    const last = buckets.at(-1)?.name;
    const rows = buckets
      .map(
        ({ name, createdMs }) =>
          `<Bucket><Name>${escapeXml(name)}</Name><CreationDate>${isoTime(createdMs)}</CreationDate><BucketRegion>${deps.settings.region}</BucketRegion></Bucket>`,
      )
      .join("");
    const continuation = more && last !== undefined ? Buffer.from(last).toString("base64url") : undefined;
    sendXml(
      request,
      `<ListAllMyBucketsResult ${S3_NAMESPACE}><Owner>${ownerFields(identity.user)}</Owner><Buckets>${rows}</Buckets>${element("ContinuationToken", continuation)}${query.has("prefix") ? element("Prefix", escapeXml(prefix)) : ""}</ListAllMyBucketsResult>`,
    );
  },
};

async function visibleBuckets(
  { ctx, identity, query }: S3Request,
  { service, settings }: S3Deps,
  { prefix, limit }: { readonly prefix: string; readonly limit: number },
): Promise<{ readonly buckets: readonly Bucket[]; readonly more: boolean }> {
  const token = query.get("continuation-token");
  let after = token === undefined || token === "" ? undefined : Buffer.from(token, "base64url").toString();
  if (settings.rootBucket !== undefined) {
    const tree = wholeTree(settings.rootBucket);
    const shown = tree.name.startsWith(prefix) && after === undefined && seesBucket(identity, tree, settings);
    return { buckets: shown ? [tree] : [], more: false };
  }
  const buckets: Bucket[] = [];
  for (;;) {
    const page: Awaited<ReturnType<CoordinatorService["listBuckets"]>> = await service.listBuckets(ctx, {
      prefix,
      limit: MAX_BUCKETS,
      ...(after === undefined ? {} : { after }),
    });
    for (const bucket of page.buckets) {
      if (!seesBucket(identity, bucket, settings)) continue;
      if (buckets.length === limit) return { buckets, more: true };
      buckets.push(bucket);
    }
    if (page.next === undefined) return { buckets, more: false };
    after = page.next;
  }
}
