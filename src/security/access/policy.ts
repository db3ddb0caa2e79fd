import { type Facts, readKey } from "./condition-keys.ts";
import { parseIpRange } from "./ip-range.ts";
import type { Policy, Statement } from "./policy-document.ts";
import { isAmong } from "./principals.ts";
import type { Identity } from "./types.ts";
import { matchesPattern, type Pattern } from "./wildcard.ts";

/** What a bucket policy says of one request. */

export interface Asked {
  readonly action: string;
  /** `BUCKET` or `BUCKET/KEY`. */
  readonly resource: string;
  readonly facts: Facts;
}

/** The statement that decides; undefined: none is about the request. A Deny wins over an Allow, in whatever order they stand. */
export function judge(policy: Policy, asked: Asked): Statement | undefined {
  let allowing: Statement | undefined;
  const action = asked.action.toLowerCase();
  for (const statement of policy.statements) {
    if (!applies(statement, action, asked)) continue;
    if (statement.effect === "Deny") return statement;
    allowing ??= statement;
  }
  return allowing;
}

function applies(statement: Statement, action: string, { resource, facts }: Asked): boolean {
  if (!concerns(statement, action, facts.identity)) return false;
  if (matchesAny(statement.resources, resource, facts) === statement.notResources) return false;
  return statement.conditions.every((condition) => condition.holds(facts));
}

/** Whether it is about this action of this one, whatever the resource. The action is in lower case. */
export function concerns(statement: Statement, action: string, identity: Identity): boolean {
  if (isAmong(statement.principals, identity) === statement.notPrincipals) return false;
  return statement.actions.some((pattern) => matchesPattern(pattern, action)) !== statement.notActions;
}

function matchesAny(patterns: readonly Pattern[], value: string, facts: Facts): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, value, (key) => readKey(key, facts)?.[0]));
}

/** Whether it lets in people whom nobody named: somebody it allows is everybody, and no condition narrows that to a few. */
export function isPublicPolicy(policy: Policy): boolean {
  return policy.statements.some(
    ({ effect, principals, conditions }) =>
      effect === "Allow" &&
      principals.everybody &&
      !conditions.some(({ key, operator, values }) => narrows(key, operator, values)),
  );
}

/** As S3 counts them, wider ranges of addresses than these are everybody. */
const WIDEST_IPV4_BITS = 8;
const WIDEST_IPV6_BITS = 32;

function narrows(key: string, operator: string, values: readonly string[]): boolean {
  if (key === "aws:sourceip" && operator === "IpAddress") {
    return values.every((value) => {
      const range = parseIpRange(value);
      return range !== undefined && range.prefixBits >= (range.family === 4 ? WIDEST_IPV4_BITS : WIDEST_IPV6_BITS);
    });
  }
  if (key !== "aws:username" && key !== "aws:userid") return false;
  if (operator === "StringEquals") return values.every((value) => !value.includes("${"));
  return operator === "StringLike" && values.every((value) => !/[*?]|\$\{/.test(value));
}
