import type { z } from "zod";
import type { AccessKey } from "../../../coordinator/index.ts";
import { GfsError } from "../../../core/errors.ts";
import {
  ALL_ACTIONS,
  askListing,
  askOperation,
  type Asker,
  askPath,
  identityOfKey,
  LISTINGS,
  policyOf,
  type Question,
  type Reason,
  verdictOn,
} from "../../../security/index.ts";
import type { permissionsSchema } from "../schemas.ts";
import type { Lister } from "./visible-listing.ts";

/** What a key may do with a path, and which grant, statement or owner decides it. */

interface Wanted {
  readonly key: AccessKey;
  readonly path: string;
  readonly action?: string | undefined;
}

/** What people ask about, in the words of S3. */
const USUAL: readonly (readonly [name: string, action: string])[] = [
  ["read", "s3:GetObject"],
  ["list", "s3:ListBucket"],
  ["write", "s3:PutObject"],
  ["delete", "s3:DeleteObject"],
  ["admin", "globalfs:ManageKeys"],
];

export async function explainPermission(
  lister: Lister,
  { key, path, action }: Wanted,
): Promise<z.infer<typeof permissionsSchema>> {
  const bare = path.replace(/^\//, "");
  const { access } = lister;
  // As it would be asked by a request like this one.
  const asker: Asker = { ...access.asker, identity: identityOfKey(key) };
  const actions = action === undefined ? USUAL.map(([, each]) => each) : [actionOf(action)];
  const permissions = [];
  for (const each of actions) {
    const question = await ask(lister, bare, each);
    const { allowed, reason } = await verdictOn(asker, question);
    permissions.push({ action: each, allowed, by: reason.by, because: sentence(reason, question) });
  }
  const { expiresMs } = key;
  const expired = expiresMs !== undefined && access.asker.clock.nowMs() >= expiresMs;
  return { id: key.id, user: key.user, path: bare, expired, permissions };
}

function actionOf(text: string): string {
  const usual = USUAL.find(([name]) => name === text);
  if (usual !== undefined) return usual[1];
  const named = [...ALL_ACTIONS].find((each) => each.toLowerCase() === text.toLowerCase().replace(/^(?!s3:)/, "s3:"));
  if (named !== undefined) return named;
  throw new GfsError(
    "InvalidArgument",
    `An action is ${USUAL.map(([name]) => name).join(", ")}, or one of S3's such as s3:GetObjectTagging.`,
  );
}

async function ask({ service, ctx }: Lister, path: string, action: string): Promise<Question> {
  if (action.startsWith("globalfs:")) return askOperation(action, path.replace(/\/$/, ""));
  if (!LISTINGS.has(action)) return await askPath(ctx, service, path, { action });
  const prefix = path === "" || path.endsWith("/") ? path : `${path}/`;
  return { ...(await askListing(service, prefix)), action };
}

function sentence(reason: Reason, { bucketName, bucket }: Question): string {
  switch (reason.by) {
    case "grant":
      return `The key is ${reason.grant.role} of /${reason.grant.path}.`;
    case "ownership":
      return `The user owns the ${reason.of}.`;
    case "policy": {
      const policy = bucket === undefined ? undefined : policyOf(bucket);
      const number =
        policy === undefined || policy === "unreadable" ? 0 : policy.statements.indexOf(reason.statement) + 1;
      const { sid, effect } = reason.statement;
      return `Statement ${number}${sid === undefined ? "" : ` (${sid})`} of the policy of ${bucketName} is ${effect === "Deny" ? "a Deny" : "an Allow"}.`;
    }
    case "unreadable-policy":
      return `The policy of ${bucketName} cannot be read, and lets nobody in; an admin replaces it.`;
    case "policy-rescue":
      return "An admin of the bucket can always mend its policy.";
    case "access-list":
      return `The access list of the ${reason.of} lets the user in.`;
    case "nothing":
      return "No grant of the key, no ownership, no policy and no access list allows it.";
  }
}
