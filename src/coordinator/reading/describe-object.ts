import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { AccessObject } from "../../security/index.ts";
import type { Kit } from "../kit.ts";
import { headObject } from "./read.ts";

/** What an object says of who may touch it. What is no object, or could not be one, has no owner, list or tags. */
export async function describeObject(
  kit: Kit,
  ctx: Ctx,
  path: string,
  versionId?: string,
): Promise<AccessObject | undefined> {
  try {
    const { meta } = await headObject(kit, ctx, path, versionId === undefined ? {} : { versionId });
    const { owner, labels } = meta.details ?? {};
    return {
      ...(owner === undefined ? {} : { owner }),
      ...(labels?.accessList === undefined ? {} : { accessList: labels.accessList }),
      ...(labels?.tags === undefined ? {} : { tags: labels.tags }),
    };
  } catch (error) {
    if (
      isGfsError(error, "NotFound", "MethodNotAllowed", "InvalidKey", "KeyTooLong", "InvalidArgument", "IsADirectory")
    )
      return undefined;
    throw error;
  }
}
