import type { IncomingMessage, ServerResponse } from "node:http";
import type { Bucket } from "../../../coordinator/service/service.ts";
import type { Ctx } from "../../../core/context.ts";
import { sendEmpty } from "../wire/answer.ts";
import { s3Error } from "../wire/errors.ts";
import type { Target } from "../wire/request.ts";

/** Cross-origin requests: which pages of browsers may read a bucket's answers. Checked by browsers; it opens nothing to anybody else. */

export interface CorsRule {
  readonly id?: string;
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly expose: readonly string[];
  readonly maxAgeSeconds?: number;
}

type Headers = readonly (readonly [name: string, value: string])[];

const NONE: Headers = [];
const VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";
const parsed = new WeakMap<Bucket, readonly CorsRule[]>();

export function corsRulesOf(bucket: Bucket): readonly CorsRule[] {
  const text = bucket.documents["cors"];
  if (text === undefined) return [];
  const known = parsed.get(bucket);
  if (known !== undefined) return known;
  const rules = JSON.parse(text) as readonly CorsRule[];
  parsed.set(bucket, rules);
  return rules;
}

/** To be added to the answer, whatever it is; empty when no rule of the bucket fits. */
export function corsHeaders(bucket: Bucket, http: IncomingMessage): Headers {
  const { origin } = http.headers;
  if (origin === undefined || bucket.documents["cors"] === undefined) return NONE;
  const method = single(http.headers["access-control-request-method"]) ?? http.method ?? "";
  const rule = corsRulesOf(bucket).find((one) => fits(one, { origin, method, headers: [] }));
  return rule === undefined ? NONE : describe(rule, origin, []);
}

export interface Preflight {
  readonly ctx: Ctx;
  readonly http: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly bucket: Bucket | undefined;
}

/** Browsers do not sign these; all they learn is what the bucket's rules say. */
export function preflight({ ctx, http, response, target, bucket }: Preflight): void {
  const { origin } = http.headers;
  const method = single(http.headers["access-control-request-method"]);
  if (origin === undefined) throw bad("Insufficient information. Origin request header needed.");
  if (method === undefined) throw bad("Invalid Access-Control-Request-Method: null");
  if (target.bucket !== "" && bucket === undefined) {
    throw s3Error("NotFound", "NoSuchBucket", "The specified bucket does not exist.");
  }
  const headers = (single(http.headers["access-control-request-headers"]) ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
  const rules = bucket === undefined ? [] : corsRulesOf(bucket);
  const rule = rules.find((one) => fits(one, { origin, method, headers }));
  if (rule === undefined) {
    throw s3Error(
      "PermissionDenied",
      "AccessForbidden",
      rules.length === 0
        ? "CORSResponse: CORS is not enabled for this bucket."
        : "CORSResponse: This CORS request is not allowed by the bucket's rules.",
    );
  }
  sendEmpty({ ctx, response }, 200, describe(rule, origin, headers).flat());
}

function fits(
  { origins, methods, headers: allowed }: CorsRule,
  {
    origin,
    method,
    headers,
  }: { readonly origin: string; readonly method: string; readonly headers: readonly string[] },
): boolean {
  if (!methods.includes(method) || !origins.some((pattern) => matches(pattern, origin))) return false;
  return headers.every((name) => allowed.some((pattern) => matches(pattern.toLowerCase(), name)));
}

/** At most one `*`. */
function matches(pattern: string, value: string): boolean {
  const star = pattern.indexOf("*");
  if (star === -1) return pattern === value;
  const end = pattern.length - star - 1;
  return (
    value.length >= pattern.length - 1 &&
    value.startsWith(pattern.slice(0, star)) &&
    value.endsWith(pattern.slice(pattern.length - end))
  );
}

function describe(rule: CorsRule, origin: string, asked: readonly string[]): Headers {
  const everybody = rule.origins.includes("*");
  const headers: (readonly [string, string])[] = [
    ["Access-Control-Allow-Origin", everybody ? "*" : origin],
    ["Access-Control-Allow-Methods", rule.methods.join(", ")],
    ["Vary", VARY],
  ];
  if (!everybody) headers.push(["Access-Control-Allow-Credentials", "true"]);
  if (asked.length > 0) headers.push(["Access-Control-Allow-Headers", asked.join(", ")]);
  if (rule.expose.length > 0) headers.push(["Access-Control-Expose-Headers", rule.expose.join(", ")]);
  if (rule.maxAgeSeconds !== undefined) headers.push(["Access-Control-Max-Age", String(rule.maxAgeSeconds)]);
  return headers;
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function bad(sentence: string): Error {
  return s3Error("InvalidArgument", "BadRequest", sentence);
}
