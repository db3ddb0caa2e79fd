import type { Ctx } from "../../../core/context.ts";
import { canonicalUserId } from "../auth/identity.ts";
import type { S3Deps } from "../wire/request.ts";

/** Users as access lists name them: by S3's canonical id, 64 hex digits made of the name. */

const MAX_REMEMBERED = 1_024;
const remembered = new Map<string, string>();

export function userIdOf(name: string): string {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const id = canonicalUserId(name);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(name, id);
  return id;
}

/** The names of all users that have a key, by canonical id. */
export async function knownUsers(ctx: Ctx, deps: S3Deps): Promise<ReadonlyMap<string, string>> {
  const keys = await deps.service.listAccessKeys(ctx);
  return new Map(keys.map(({ user }) => [userIdOf(user), user]));
}
