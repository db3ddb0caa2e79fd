import { s3Error } from "../wire/errors.ts";
import { denied } from "./failures.ts";

/** The document that a form's signature covers: until when it holds, and what its fields may say. */
export interface PostPolicy {
  readonly expiresMs: number;
  readonly conditions: readonly Condition[];
  /** Of the file. */
  readonly minBytes: number;
  readonly maxBytes: number;
}

interface Condition {
  readonly kind: "eq" | "starts-with";
  /** Lower-case. */
  readonly field: string;
  readonly value: string;
}

const MAX_CONDITIONS = 200;
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
/** What a policy need not mention. */
const FREE: ReadonlySet<string> = new Set(["policy", "x-amz-signature", "signature", "awsaccesskeyid", "file"]);

export function parsePostPolicy(encoded: string): PostPolicy {
  const document = parseJson(Buffer.from(encoded, "base64").toString("utf8"));
  if (!isRecord(document)) throw invalid("it must be a JSON object");
  const { expiration, conditions } = document;
  if (typeof expiration !== "string") throw invalid("policy missing expiration");
  const expiresMs = ISO_TIME.test(expiration) ? Date.parse(expiration) : Number.NaN;
  if (Number.isNaN(expiresMs)) throw invalid("the expiration must look like 2013-08-07T12:00:00.000Z");
  if (!Array.isArray(conditions)) throw invalid("policy missing conditions");
  if (conditions.length > MAX_CONDITIONS) throw invalid("it has too many conditions");
  const parsed: Condition[] = [];
  let minBytes = 0;
  let maxBytes = Number.MAX_SAFE_INTEGER;
  for (const condition of conditions as unknown[]) {
    if (Array.isArray(condition) && String(condition[0]).toLowerCase() === "content-length-range") {
      const [least, most] = rangeOf(condition);
      minBytes = Math.max(minBytes, least);
      maxBytes = Math.min(maxBytes, most);
    } else {
      parsed.push(...conditionsOf(condition));
    }
  }
  return { expiresMs, conditions: parsed, minBytes, maxBytes };
}

/** `fields` with the bucket among them. Every field must be allowed, and every condition must hold. */
export function checkPostPolicy(policy: PostPolicy, fields: ReadonlyMap<string, string>, nowMs: number): void {
  if (nowMs >= policy.expiresMs) throw refused("Policy expired.");
  for (const { kind, field, value } of policy.conditions) {
    const actual = fields.get(field) ?? "";
    const holds = kind === "eq" ? actual === value : holdsPrefix(field, actual, value);
    if (!holds) throw refused(`Policy Condition failed: ["${kind}", "$${field}", "${value}"]`);
  }
  const allowed = new Set(policy.conditions.map(({ field }) => field));
  for (const name of fields.keys()) {
    // A checksum opens nothing: it only refuses a file that is not the one that was meant.
    const free = FREE.has(name) || name.startsWith("x-ignore-") || name.startsWith("x-amz-checksum-");
    if (!free && !allowed.has(name)) {
      throw refused(`Extra input fields: ${name.slice(0, 100)}`);
    }
  }
}

/** A list of content types, each of which must begin so. */
function holdsPrefix(field: string, actual: string, value: string): boolean {
  if (field !== "content-type") return actual.startsWith(value);
  return actual.split(",").every((type) => type.trim().startsWith(value));
}

function conditionsOf(condition: unknown): Condition[] {
  if (Array.isArray(condition)) {
    const [kind, field, value] = condition as unknown[];
    const name = typeof kind === "string" ? kind.toLowerCase() : "";
    if ((name !== "eq" && name !== "starts-with") || condition.length !== 3) {
      throw invalid("a condition is eq, starts-with or content-length-range with two values");
    }
    if (typeof field !== "string" || !field.startsWith("$") || typeof value !== "string") {
      throw invalid('a condition names a field, such as ["eq", "$key", "value"]');
    }
    return [{ kind: name, field: field.slice(1).toLowerCase(), value }];
  }
  if (!isRecord(condition)) throw invalid("a condition is an object or a list");
  const entries = Object.entries(condition);
  if (entries.length === 0) throw invalid("a condition is empty");
  return entries.map(([field, value]) => {
    if (typeof value !== "string") throw invalid("the value of a condition is a text");
    return { kind: "eq" as const, field: field.toLowerCase(), value };
  });
}

function rangeOf(condition: readonly unknown[]): [number, number] {
  const [, least, most] = condition.map((value) =>
    typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value,
  );
  if (condition.length !== 3 || !isSize(least) || !isSize(most)) {
    throw invalid("content-length-range needs two numbers of bytes");
  }
  return [least, most];
}

function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // AWS's own examples escape dollar signs, which JSON does not know.
    try {
      return JSON.parse(text.replaceAll(/\\\$|(\\.)/g, (_, other: string | undefined) => other ?? "$"));
    } catch {
      throw invalid("it is no base64 of JSON");
    }
  }
}

function invalid(what: string): Error {
  return s3Error("InvalidArgument", "InvalidPolicyDocument", `Invalid Policy: ${what}.`);
}

function refused(what: string): Error {
  return denied(`Invalid according to Policy: ${what}`);
}
