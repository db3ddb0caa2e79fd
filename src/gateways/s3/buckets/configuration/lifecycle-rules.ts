import { createHash } from "node:crypto";
import { childrenNamed, type XmlElement } from "../../../../core/xml.ts";
import type { LifecycleRule } from "../../../../namespace/types.ts";
import {
  allowOnly,
  booleanOf,
  dateOf,
  integerOf,
  malformedXml,
  oneOf,
  onlyChild,
  requiredText,
  textOf,
} from "../../wire/documents.ts";
import { notImplemented, s3Error } from "../../wire/errors.ts";

/** Lifecycle configurations into the rules that the catalog carries out. What cannot be carried out is refused. */

const MAX_RULES = 1_000;
const MAX_ID = 255;
const DAY_MS = 86_400_000;

export interface ReadLifecycle {
  readonly rules: readonly LifecycleRule[];
  /** Ids of the rules whose prefix stood outside of a filter, as S3 once had it; they are shown so again. */
  readonly plainPrefixes: readonly string[];
}

type Mutable<T> = { -readonly [Field in keyof T]: T[Field] };

export function readLifecycle(document: XmlElement): ReadLifecycle {
  allowOnly(document, ["Rule"]);
  const elements = childrenNamed(document, "Rule");
  if (elements.length === 0) throw malformedXml("has no Rule");
  if (elements.length > MAX_RULES) throw malformedXml(`has more than ${MAX_RULES} rules`);
  const rules = elements.map(readRule);
  const ids = new Set(rules.map(({ id }) => id));
  if (ids.size < rules.length) throw invalid("Rule ID must be unique. Found same ID for more than one rule.");
  return {
    rules,
    plainPrefixes: rules
      .filter((_, index) => onlyChild(elements[index] as XmlElement, "Prefix") !== undefined)
      .map(({ id }) => id),
  };
}

function readRule(element: XmlElement, index: number): LifecycleRule {
  refuseTransitions(element);
  allowOnly(element, [
    "ID",
    "Status",
    "Prefix",
    "Filter",
    "Expiration",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
  ]);
  const id = textOf(element, "ID");
  if (id !== undefined && id.length > MAX_ID) throw invalid("ID length should not exceed allowed limit of 255.");
  const enabled = oneOf(requiredText(element, "Status"), ["Enabled", "Disabled"], "Status") === "Enabled";
  const filter = readFilter(element);
  const actions = {
    ...readExpiration(onlyChild(element, "Expiration")),
    ...readNoncurrent(onlyChild(element, "NoncurrentVersionExpiration")),
    ...readAbort(onlyChild(element, "AbortIncompleteMultipartUpload")),
  };
  if (Object.keys(actions).length === 0) throw badRequest("At least one action needs to be specified in a rule.");
  const narrowed =
    filter.tags !== undefined || filter.largerThanBytes !== undefined || filter.smallerThanBytes !== undefined;
  if (narrowed && (actions.abortUploadsAfterDays !== undefined || actions.removeLoneDeleteMarkers !== undefined)) {
    throw badRequest("Delete markers and unfinished uploads have neither tags nor a size that a filter could ask for.");
  }
  return { id: id === undefined || id === "" ? madeId(element, index) : id, enabled, filter, ...actions };
}

/** The same document gives the same ids, however often it is put. */
function madeId(element: XmlElement, index: number): string {
  return createHash("sha256")
    .update(`${index} ${JSON.stringify(element)}`)
    .digest("hex")
    .slice(0, 32);
}

function refuseTransitions(element: XmlElement): void {
  const transitions = element.children.filter(
    ({ name }) => name === "Transition" || name === "NoncurrentVersionTransition",
  );
  for (const transition of transitions) {
    const date = textOf(transition, "Date");
    if (date !== undefined) readDate(date);
  }
  if (transitions.length > 0) {
    throw notImplemented(
      "Transitions to storage classes are not implemented: the rules of GlobalFS place objects at sites.",
    );
  }
}

function readFilter(element: XmlElement): LifecycleRule["filter"] {
  const plain = textOf(element, "Prefix");
  const filter = onlyChild(element, "Filter");
  if ((plain === undefined) === (filter === undefined))
    throw malformedXml("needs either Filter or Prefix in each Rule");
  if (filter === undefined) return plain === undefined || plain === "" ? {} : { prefix: plain };
  allowOnly(filter, ["Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And"]);
  const and = onlyChild(filter, "And");
  // Conditions that stand beside an And, or beside each other without one, can only mean that all of them must hold.
  if (and === undefined) {
    onlyChild(filter, "Prefix");
    return readConditions(filter);
  }
  onlyChild(and, "Prefix");
  allowOnly(and, ["Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"]);
  const beside = filter.children.filter((child) => child !== and);
  return readConditions({ ...filter, children: [...beside, ...and.children] });
}

function readConditions(element: XmlElement): LifecycleRule["filter"] {
  const filter: Mutable<LifecycleRule["filter"]> = {};
  const prefix = prefixOf(element);
  if (prefix !== "") filter.prefix = prefix;
  const tags = childrenNamed(element, "Tag").map(
    (tag) => [requiredText(tag, "Key"), requiredText(tag, "Value")] as const,
  );
  if (tags.length > 0) {
    if (new Set(tags.map(([name]) => name)).size < tags.length) throw badRequest("Duplicate Tag Keys are not allowed.");
    filter.tags = Object.fromEntries(tags);
  }
  const larger = sizeOf(element, "ObjectSizeGreaterThan");
  const smaller = sizeOf(element, "ObjectSizeLessThan");
  if (larger !== undefined) filter.largerThanBytes = larger;
  if (smaller !== undefined) filter.smallerThanBytes = smaller;
  if (larger !== undefined && smaller !== undefined && larger >= smaller) {
    throw badRequest("ObjectSizeGreaterThan must be less than ObjectSizeLessThan.");
  }
  return filter;
}

/** Of several prefixes, which an And may stand beside, all must hold: the longest says it all, or nothing fits them. */
function prefixOf(element: XmlElement): string {
  const prefixes = childrenNamed(element, "Prefix").map(({ text }) => text);
  const longest = prefixes.reduce((one, other) => (other.length > one.length ? other : one), "");
  if (prefixes.some((prefix) => !longest.startsWith(prefix)))
    throw badRequest("No key can begin with each of the prefixes of the filter; give one.");
  return longest;
}

function sizeOf(element: XmlElement, name: string): number | undefined {
  const text = textOf(element, name);
  if (text === undefined) return undefined;
  const sizeBytes = integerOf(text);
  if (sizeBytes === undefined || sizeBytes < 0)
    throw badRequest(`${name} must be a whole number that is not negative.`);
  return sizeBytes;
}

function readExpiration(element: XmlElement | undefined): Partial<LifecycleRule> {
  if (element === undefined) return {};
  allowOnly(element, ["Days", "Date", "ExpiredObjectDeleteMarker"]);
  if (element.children.length !== 1)
    throw malformedXml("needs one of Days, Date and ExpiredObjectDeleteMarker in Expiration");
  const days = textOf(element, "Days");
  if (days !== undefined) return { expireAfterDays: positive(days, "Days") };
  const date = textOf(element, "Date");
  if (date !== undefined) return { expireAtMs: readDate(date) };
  const lone = booleanOf(requiredText(element, "ExpiredObjectDeleteMarker"), "ExpiredObjectDeleteMarker");
  return lone ? { removeLoneDeleteMarkers: true } : {};
}

function readDate(text: string): number {
  const atMs = dateOf(text);
  if (atMs === undefined) throw malformedXml("has a Date that is not in ISO 8601");
  if (atMs % DAY_MS !== 0) throw invalid("'Date' must be at midnight GMT.");
  return atMs;
}

function readNoncurrent(element: XmlElement | undefined): Partial<LifecycleRule> {
  if (element === undefined) return {};
  allowOnly(element, ["NoncurrentDays", "NewerNoncurrentVersions"]);
  const days = requiredText(element, "NoncurrentDays");
  const kept = textOf(element, "NewerNoncurrentVersions");
  return {
    noncurrentDays: positive(days, "NoncurrentDays"),
    ...(kept === undefined ? {} : { noncurrentKept: positive(kept, "NewerNoncurrentVersions") }),
  };
}

function readAbort(element: XmlElement | undefined): Partial<LifecycleRule> {
  if (element === undefined) return {};
  allowOnly(element, ["DaysAfterInitiation"]);
  return { abortUploadsAfterDays: positive(requiredText(element, "DaysAfterInitiation"), "DaysAfterInitiation") };
}

const MOST = 2 ** 31 - 1;

function positive(text: string, name: string): number {
  const value = integerOf(text);
  if (value === undefined) throw malformedXml(`has a ${name} that is no number`);
  if (value < 1 || value > MOST) throw invalid(`'${name}' must be a positive integer.`);
  return value;
}

function invalid(sentence: string): Error {
  return s3Error("InvalidArgument", "InvalidArgument", sentence);
}

function badRequest(sentence: string): Error {
  return s3Error("InvalidArgument", "InvalidRequest", sentence);
}
