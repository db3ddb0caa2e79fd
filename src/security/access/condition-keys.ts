import type { Clock } from "../../core/ports/clock.ts";
import { plainAddress } from "./ip-range.ts";
import type { Circumstances, Identity } from "./types.ts";

/** The facts about a request that conditions of policies can ask for. Names of keys are in lower case here. */

/** Whoever asks, as conditions see him. */
export interface Asker {
  readonly identity: Identity;
  readonly circumstances: Circumstances;
  readonly clock: Clock;
}

export interface Facts extends Asker {
  /** Of the version that the request names; absent: none was looked up, or there is no such object. */
  readonly existingTags?: Readonly<Record<string, string>>;
  /** Those that the request brings in its body; absent: those of its header. */
  readonly requestTags?: Readonly<Record<string, string>>;
  /** Instead of the parameter, when something else than the request itself is asked about. */
  readonly prefix?: string;
  readonly versionId?: string;
}

const EXISTING_TAG = "s3:existingobjecttag/";
const REQUEST_TAG = "s3:requestobjecttag/";
const REQUEST_TAG_KEYS = "s3:requestobjecttagkeys";

/** Fixed at signing; nobody can set it at will. */
type Reading = (facts: Facts) => string | undefined;

const KEYS: ReadonlyMap<string, Reading> = new Map<string, Reading>([
  ["aws:sourceip", ({ circumstances }) => plain(circumstances.address)],
  ["aws:securetransport", ({ circumstances }) => String(circumstances.tlsVersion !== undefined)],
  ["aws:currenttime", ({ clock }) => new Date(clock.nowMs()).toISOString()],
  ["aws:epochtime", ({ clock }) => String(Math.floor(clock.nowMs() / 1_000))],
  ["aws:referer", ({ circumstances }) => circumstances.header("referer")],
  ["aws:useragent", ({ circumstances }) => circumstances.header("user-agent")],
  ["aws:username", ({ identity }) => nonEmpty(identity.user)],
  ["aws:userid", ({ identity }) => nonEmpty(identity.userId)],
  ["aws:principaltype", ({ identity }) => (identity.kind === "user" ? "User" : "Anonymous")],
  ["s3:prefix", ({ circumstances, prefix }) => prefix ?? circumstances.parameter("prefix")],
  ["s3:delimiter", ({ circumstances }) => circumstances.parameter("delimiter")],
  ["s3:max-keys", ({ circumstances }) => circumstances.parameter("max-keys")],
  ["s3:versionid", ({ circumstances, versionId }) => versionId ?? circumstances.parameter("versionId")],
  ["s3:signatureversion", ({ identity }) => identity.proof?.version],
  ["s3:authtype", ({ identity }) => authTypeOf(identity)],
  ["s3:signatureage", signatureAge],
  ["s3:tlsversion", ({ circumstances }) => circumstances.tlsVersion],
]);

const HEADER = /^s3:(x-amz-[a-z0-9-]{1,100})$/;

export function isKnownKey(key: string): boolean {
  return (
    KEYS.has(key) ||
    key === REQUEST_TAG_KEYS ||
    HEADER.test(key) ||
    (key.startsWith(EXISTING_TAG) && key.length > EXISTING_TAG.length) ||
    (key.startsWith(REQUEST_TAG) && key.length > REQUEST_TAG.length)
  );
}

/** Tags keep their case: of a key's name only the part before the slash is folded. */
export function foldKey(key: string): string {
  const slash = key.indexOf("/");
  return slash === -1 ? key.toLowerCase() : key.slice(0, slash).toLowerCase() + key.slice(slash);
}

export function asksForExistingTags(key: string): boolean {
  return key.startsWith(EXISTING_TAG);
}

export function asksForRequestTags(key: string): boolean {
  return key.startsWith(REQUEST_TAG) || key === REQUEST_TAG_KEYS;
}

/** Undefined: the request has no such fact. */
export function readKey(key: string, facts: Facts): readonly string[] | undefined {
  const reading = KEYS.get(key);
  if (reading !== undefined) return listed(reading(facts));
  if (key.startsWith(EXISTING_TAG)) return listed(own(facts.existingTags, key.slice(EXISTING_TAG.length)));
  if (key.startsWith(REQUEST_TAG)) return listed(own(tagsOf(facts), key.slice(REQUEST_TAG.length)));
  if (key === REQUEST_TAG_KEYS) {
    const tags = tagsOf(facts);
    return tags === undefined ? undefined : Object.keys(tags);
  }
  const header = HEADER.exec(key)?.[1];
  if (header === undefined) return undefined;
  const text = facts.circumstances.header(header);
  if (text === undefined || header !== "x-amz-copy-source") return listed(text);
  return [decoded(text.startsWith("/") ? text.slice(1) : text)];
}

function listed(value: string | undefined): readonly string[] | undefined {
  return value === undefined ? undefined : [value];
}

function own(tags: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return tags !== undefined && Object.hasOwn(tags, name) ? tags[name] : undefined;
}

function tagsOf({ circumstances, requestTags }: Facts): Readonly<Record<string, string>> | undefined {
  if (requestTags !== undefined) return requestTags;
  const header = circumstances.header("x-amz-tagging");
  return header !== undefined ? Object.fromEntries(new URLSearchParams(header)) : undefined;
}

function plain(address: string | undefined): string | undefined {
  return address === undefined ? undefined : plainAddress(address);
}

function nonEmpty(text: string): string | undefined {
  return text === "" ? undefined : text;
}

const AUTH_TYPES = { header: "REST-HEADER", query: "REST-QUERY-STRING", form: "POST" } as const;

function authTypeOf(identity: Identity): string | undefined {
  return identity.proof === undefined ? undefined : AUTH_TYPES[identity.proof.place];
}

const BASIC_DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/**
 * Milliseconds since the signature was made, for presigned addresses and signed headers alike. Version 2 may leave its date unsaid, so that
 * its signatures have no age, as on AWS.
 */
function signatureAge({ identity, circumstances, clock }: Facts): string | undefined {
  const { proof } = identity;
  if (proof?.version !== "AWS4-HMAC-SHA256") return undefined;
  const given = proof.place === "query" ? circumstances.parameter("X-Amz-Date") : circumstances.header("x-amz-date");
  const parts = typeof given === "string" ? BASIC_DATE.exec(given) : null;
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return String(Math.max(0, clock.nowMs() - Date.UTC(year, month - 1, day, hour, minute, second)));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
