import { policyOf } from "./bucket-access.ts";
import type { Asker } from "./condition-keys.ts";
import type { Statement } from "./policy-document.ts";
import { concerns } from "./policy.ts";
import type { AccessBucket } from "./types.ts";
import { mayMatchBelow } from "./wildcard.ts";

/**
 * Whether a policy may refuse one of the actions to the asker for some key that begins with the prefix. It errs on the side of yes: what moves a whole
 * directory cannot ask for every key in it.
 */
export function mayBeForbiddenBelow(
  asker: Asker,
  bucket: AccessBucket | undefined,
  { prefix, actions }: { readonly prefix: string; readonly actions: readonly string[] },
): boolean {
  const policy = bucket === undefined ? undefined : policyOf(bucket);
  if (policy === undefined) return false;
  if (policy === "unreadable") return true;
  const resource = `${(bucket as AccessBucket).name}/${prefix}`;
  return policy.statements.some(
    (statement) =>
      statement.effect === "Deny" &&
      actions.some((action) => concerns(statement, action.toLowerCase(), asker.identity)) &&
      mayBeAboutBelow(statement, resource),
  );
}

/** Conditions are taken to hold: some of them ask for what only single keys have. */
function mayBeAboutBelow({ resources, notResources }: Statement, resource: string): boolean {
  return notResources || resources.some((pattern) => mayMatchBelow(pattern, resource));
}
