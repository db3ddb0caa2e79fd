import type { Ctx } from "../../../core/context.ts";
import { canonicalUserId } from "../../../security/index.ts";
import type { S3Deps } from "../wire/request.ts";

/** The names of all users that have a key, by canonical id. */
export async function knownUsers(ctx: Ctx, deps: S3Deps): Promise<ReadonlyMap<string, string>> {
  const keys = await deps.service.listAccessKeys(ctx);
  return new Map(keys.map(({ user }) => [canonicalUserId(user), user]));
}
