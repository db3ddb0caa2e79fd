import type { Identity } from "./types.ts";

/** Whom a statement of a policy is about. */

export interface Principals {
  /** Everybody, also who does not sign. */
  readonly everybody: boolean;
  /** Names of users, or their canonical ids. */
  readonly users: ReadonlySet<string>;
}

export type ReadPrincipals = { readonly principals: Principals } | { readonly problem: string };

const USER_ARN = /^arn:aws:iam::([^:]*):(?:user\/(?:[^:]*\/)?([^/:]+)|(root))$/;
const CANONICAL_ID = /^[0-9a-f]{64}$/;
const MAX_PRINCIPALS = 1_000;

/** `"*"`, or `{ "AWS": ... }` and `{ "CanonicalUser": ... }` with one text or several. */
export function readPrincipals(value: unknown): ReadPrincipals {
  if (value === "*") return { principals: { everybody: true, users: new Set() } };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problem: 'A Principal is "*" or an object that names users under AWS or CanonicalUser.' };
  }
  const users = new Set<string>();
  let everybody = false;
  const kinds = Object.entries(value);
  if (kinds.length === 0) return { problem: "The Principal names nobody." };
  for (const [kind, named] of kinds) {
    const texts = Array.isArray(named) ? (named as unknown[]) : [named];
    if (texts.length === 0 || texts.length > MAX_PRINCIPALS)
      return { problem: `The Principal ${kind} names nobody, or too many.` };
    for (const text of texts) {
      if (typeof text !== "string") return { problem: `The Principal ${kind} holds something that is not text.` };
      if (kind === "AWS" && text === "*") everybody = true;
      else {
        const name = userOf(kind, text);
        if (name === undefined) {
          return {
            problem: `The Principal ${text} is not a user here: write arn:aws:iam:::user/NAME or a canonical id.`,
          };
        }
        users.add(name);
      }
    }
  }
  return { principals: { everybody, users } };
}

/** A user of an account that is not the user's own matches nobody: what is kept is then a text that no name equals. */
function userOf(kind: string, text: string): string | undefined {
  if (kind === "CanonicalUser" || (kind === "AWS" && CANONICAL_ID.test(text)))
    return CANONICAL_ID.test(text) ? text : undefined;
  if (kind !== "AWS") return undefined;
  const arn = USER_ARN.exec(text);
  if (arn === null) return undefined;
  const [, account = "", user, root] = arn;
  if (root !== undefined) return account === "" ? undefined : account;
  if (account === "" || account === user) return user;
  return CANONICAL_ID.test(account) ? `${account}/${user}` : text;
}

export function isAmong({ everybody, users }: Principals, identity: Identity): boolean {
  if (everybody) return true;
  if (identity.kind === "anonymous") return false;
  return users.has(identity.user) || users.has(identity.userId) || users.has(`${identity.userId}/${identity.user}`);
}
