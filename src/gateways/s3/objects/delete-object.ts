import type { DeleteResult } from "../../../coordinator/service/objects.ts";
import { asksBypass } from "../access/index.ts";
import { sendEmpty } from "../wire/answer.ts";
import { deleteConditions } from "./delete-conditions.ts";
import { pendingHeaders } from "./object-headers.ts";
import type { Operation } from "../wire/request.ts";
import { ownerOf } from "./write-headers.ts";

export const deleteObject: Operation = {
  name: "DeleteObject",
  action: "s3:DeleteObject",
  bucket: "exists",
  async run(request, deps) {
    const { ctx, path, query, http } = request;
    const { headers } = http;
    const versionId = query.get("versionId");
    const conditions = await deleteConditions(request, deps, {
      path,
      versionId,
      etag: headers["if-match"],
      modified: headers["x-amz-if-match-last-modified-time"],
      size: headers["x-amz-if-match-size"],
    });
    const result = await deps.service.deleteObject(ctx, path, {
      ...conditions,
      ...ownerOf(request),
      ...(versionId === undefined ? {} : { versionId }),
      ...(asksBypass(request) ? { bypassGovernance: true } : {}),
    });
    sendEmpty(request, 204, [...deletedHeaders(result), ...pendingHeaders(result.pendingSites)]);
  },
};

function deletedHeaders({ deleteMarker, versionId }: DeleteResult): string[] {
  return [
    ...(deleteMarker === true ? ["x-amz-delete-marker", "true"] : []),
    ...(versionId === undefined ? [] : ["x-amz-version-id", versionId]),
  ];
}
