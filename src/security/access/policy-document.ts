import { GfsError } from "../../core/errors.ts";
import { ALL_ACTIONS } from "./actions.ts";
import { asksForExistingTags, asksForRequestTags } from "./condition-keys.ts";
import { compileCondition, type Condition, knowsVariables } from "./conditions.ts";
import { type Principals, readPrincipals } from "./principals.ts";
import { compilePattern, matchesPattern, type Pattern } from "./wildcard.ts";

/** Bucket policies: read strictly, so that nothing that somebody wrote down is passed over in silence. */

export const MAX_POLICY_BYTES = 20 * 1_024;
const MAX_STATEMENTS = 200;

export interface Statement {
  /** Absent where it is empty. */
  readonly sid?: string;
  readonly effect: "Allow" | "Deny";
  readonly principals: Principals;
  /** The statement is about everybody but these. */
  readonly notPrincipals: boolean;
  readonly actions: readonly Pattern[];
  readonly notActions: boolean;
  readonly resources: readonly Pattern[];
  readonly notResources: boolean;
  readonly conditions: readonly Condition[];
}

export interface Policy {
  readonly statements: readonly Statement[];
  /** Some condition asks for tags that the object has, or that the request brings. */
  readonly asksForExistingTags: boolean;
  readonly asksForRequestTags: boolean;
}

const VERSIONS: readonly unknown[] = ["2008-10-17", "2012-10-17", undefined];
const ELEMENTS = new Set(["Version", "Id", "Statement"]);
const STATEMENT_ELEMENTS = new Set([
  "Sid",
  "Effect",
  "Principal",
  "NotPrincipal",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Condition",
]);

/** `bucket` is the name that its resources must be about. Anything that cannot be held is `MalformedPolicy`. */
export function parsePolicy(text: string, bucket: string): Policy {
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) throw malformed("A policy has at most 20 KiB.");
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw malformed("The policy is not valid JSON.");
  }
  if (!isObject(document)) throw malformed("A policy is a JSON object.");
  refuseUnknown(document, ELEMENTS, "policy");
  if (!VERSIONS.includes(document.Version)) throw malformed("The Version of a policy is 2012-10-17 or 2008-10-17.");
  if (document.Id !== undefined && typeof document.Id !== "string") throw malformed("The Id of a policy is text.");
  const given = Array.isArray(document.Statement) ? (document.Statement as unknown[]) : [document.Statement];
  if (document.Statement === undefined || given.length === 0) throw malformed("A policy needs a Statement.");
  if (given.length > MAX_STATEMENTS) throw malformed(`A policy has at most ${MAX_STATEMENTS} statements.`);
  const variables = document.Version === "2012-10-17";
  const statements = given.map((statement) => readStatement(statement, bucket, variables));
  refuseSharedSids(given);
  const keys = statements.flatMap(({ conditions }) => conditions.map(({ key }) => key));
  return {
    statements,
    asksForExistingTags: keys.some(asksForExistingTags),
    asksForRequestTags: keys.some(asksForRequestTags),
  };
}

function readStatement(value: unknown, bucket: string, variables: boolean): Statement {
  if (!isObject(value)) throw malformed("A Statement is a JSON object.");
  refuseUnknown(value, STATEMENT_ELEMENTS, "statement");
  const { Effect: effect, Sid: sid } = value;
  if (effect !== "Allow" && effect !== "Deny") throw malformed("The Effect of a statement is Allow or Deny.");
  if (sid !== undefined && typeof sid !== "string") throw malformed("The Sid of a statement is text.");
  const who = oneOf(value, "Principal", "NotPrincipal");
  if (who.not && effect === "Allow") throw malformed("NotPrincipal goes with the Effect Deny only.");
  const read = readPrincipals(who.value);
  if ("problem" in read) throw malformed(read.problem);
  const action = oneOf(value, "Action", "NotAction");
  const resource = oneOf(value, "Resource", "NotResource");
  return {
    ...(sid === undefined || sid === "" ? {} : { sid }),
    effect,
    principals: read.principals,
    notPrincipals: who.not,
    actions: texts(action.value, "Action").map(readAction),
    notActions: action.not,
    resources: texts(resource.value, "Resource").map((text) => readResource(text, bucket, variables)),
    notResources: resource.not,
    conditions: readConditions(value.Condition, variables),
  };
}

function readAction(text: string): Pattern {
  const pattern = compilePattern(text === "*" ? "s3:*" : text.replace(/^s3:/i, "s3:"), { variables: false }) as Pattern;
  const folded = foldPattern(pattern);
  for (const known of ALL_ACTIONS) if (matchesPattern(folded, known.toLowerCase())) return folded;
  throw malformed(`The Action ${text} is none that S3 has.`);
}

/** Actions are compared without regard to case. */
function foldPattern(pattern: Pattern): Pattern {
  return {
    source: pattern.source,
    parts: pattern.parts.map((part) => (part.kind === "text" ? { ...part, text: part.text.toLowerCase() } : part)),
    ...(pattern.literal === undefined ? {} : { literal: pattern.literal.toLowerCase() }),
  };
}

const RESOURCE = /^arn:aws:s3:(?:\*?):(?:\*?):(.+)$/s;

function readResource(text: string, bucket: string, variables: boolean): Pattern {
  const name = text === "*" ? "*" : RESOURCE.exec(text)?.[1];
  if (name === undefined) throw malformed(`The Resource ${text} is not of the form arn:aws:s3:::BUCKET/KEY.`);
  const pattern = compilePattern(name, { variables });
  if (pattern === undefined || !knowsVariables(pattern))
    throw malformed(`The Resource ${text} holds a variable that is not known here.`);
  const slash = name.indexOf("/");
  const ofBucket = compilePattern(slash === -1 ? name : name.slice(0, slash), { variables });
  if (ofBucket === undefined || !matchesPattern(ofBucket, bucket)) {
    throw malformed(`The Resource ${text} is not about this bucket.`);
  }
  return pattern;
}

function readConditions(value: unknown, variables: boolean): readonly Condition[] {
  if (value === undefined) return [];
  if (!isObject(value)) throw malformed("A Condition is a JSON object.");
  const conditions: Condition[] = [];
  for (const [operator, keys] of Object.entries(value)) {
    if (!isObject(keys)) throw malformed(`The operator ${operator} holds no keys.`);
    for (const [key, given] of Object.entries(keys)) {
      const values = (Array.isArray(given) ? (given as unknown[]) : [given]).map((one) => scalar(one, key));
      const compiled = compileCondition(operator, key, values, { variables });
      if ("problem" in compiled) throw malformed(compiled.problem);
      conditions.push(compiled.condition);
    }
  }
  return conditions;
}

function scalar(value: unknown, key: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw malformed(`The values of the condition key ${key} are texts, numbers or booleans.`);
}

function oneOf(
  value: Readonly<Record<string, unknown>>,
  name: string,
  notName: string,
): { value: unknown; not: boolean } {
  const given = value[name];
  const notGiven = value[notName];
  if ((given === undefined) === (notGiven === undefined))
    throw malformed(`A statement has either ${name} or ${notName}.`);
  return given === undefined ? { value: notGiven, not: true } : { value: given, not: false };
}

function texts(value: unknown, name: string): readonly string[] {
  const all = Array.isArray(value) ? (value as unknown[]) : [value];
  if (all.length === 0) throw malformed(`The ${name} of a statement is empty.`);
  return all.map((text) => {
    if (typeof text !== "string" || text === "") throw malformed(`The ${name} of a statement is text.`);
    return text;
  });
}

function refuseUnknown(value: Readonly<Record<string, unknown>>, known: ReadonlySet<string>, what: string): void {
  const stranger = Object.keys(value).find((name) => !known.has(name));
  if (stranger !== undefined) throw malformed(`A ${what} has no element ${stranger}.`);
}

function refuseSharedSids(statements: readonly unknown[]): void {
  // Clients write an empty one where they have none.
  const sids = statements
    .map((statement) => (statement as { Sid?: string }).Sid)
    .filter((sid) => sid !== undefined && sid !== "");
  if (new Set(sids).size !== sids.length) throw malformed("Two statements have the same Sid.");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(sentence: string): GfsError {
  return new GfsError("InvalidArgument", sentence, { op: "security.policy", context: { s3: "MalformedPolicy" } });
}
