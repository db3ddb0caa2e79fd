import { s3Error } from "../wire/errors.ts";
import type { Operation } from "../wire/request.ts";

/** Every object of this endpoint can be read at once: there is nothing to restore. */
export const restoreObject: Operation = {
  name: "RestoreObject",
  action: "s3:RestoreObject",
  bucket: "exists",
  async run({ ctx, path, query }, { service }) {
    const versionId = query.get("versionId");
    await service.headObject(ctx, path, versionId === undefined ? {} : { versionId });
    throw s3Error(
      "PermissionDenied",
      "InvalidObjectState",
      "Restore is not allowed for the object's current storage class: it is STANDARD and can be read at once.",
    );
  },
};
