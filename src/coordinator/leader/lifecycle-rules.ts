import type { LifecycleRule } from "../../namespace/index.ts";

/** When the rules of a bucket's lifecycle apply. A day may be shorter than a day: tests have no time. */

export const DAY_MS = 86_400_000;

/** What a filter looks at. */
export interface Subject {
  /** Without the bucket. */
  readonly name: string;
  readonly createdMs: number;
  /** Absent for a delete marker, which has neither size nor tags. */
  readonly sizeBytes?: number;
  readonly tags?: Readonly<Record<string, string>>;
}

export function matches({ enabled, filter }: LifecycleRule, subject: Subject): boolean {
  const { prefix, tags, largerThanBytes, smallerThanBytes } = filter;
  if (!enabled || (prefix !== undefined && !subject.name.startsWith(prefix))) return false;
  const { sizeBytes } = subject;
  if (largerThanBytes !== undefined && (sizeBytes === undefined || sizeBytes <= largerThanBytes)) return false;
  if (smallerThanBytes !== undefined && (sizeBytes === undefined || sizeBytes >= smallerThanBytes)) return false;
  return Object.entries(tags ?? {}).every(([name, value]) => subject.tags?.[name] === value);
}

/** S3 counts whole days and acts at the midnight after. */
export function dueAfter(fromMs: number, days: number, dayMs: number): number {
  return Math.ceil((fromMs + days * dayMs) / dayMs) * dayMs;
}

export interface Expiry {
  readonly ruleId: string;
  readonly atMs: number;
}

/** The first moment at which a rule lets the current version go; undefined: none does. */
export function expiryOf(rules: readonly LifecycleRule[], subject: Subject, dayMs: number): Expiry | undefined {
  let first: Expiry | undefined;
  for (const rule of rules) {
    if (!matches(rule, subject)) continue;
    const atMs =
      rule.expireAtMs ??
      (rule.expireAfterDays === undefined ? undefined : dueAfter(subject.createdMs, rule.expireAfterDays, dayMs));
    if (atMs !== undefined && (first === undefined || atMs < first.atMs)) first = { ruleId: rule.id, atMs };
  }
  return first;
}

export interface Noncurrent extends Subject {
  /** When a newer version took its place. */
  readonly supersededMs: number;
  /** 1 for the newest of those that are not current. */
  readonly rank: number;
}

export function isNoncurrentDue(
  rules: readonly LifecycleRule[],
  subject: Noncurrent,
  { nowMs, dayMs }: { readonly nowMs: number; readonly dayMs: number },
): boolean {
  return rules.some(
    (rule) =>
      rule.noncurrentDays !== undefined &&
      matches(rule, subject) &&
      subject.rank > (rule.noncurrentKept ?? 0) &&
      dueAfter(subject.supersededMs, rule.noncurrentDays, dayMs) <= nowMs,
  );
}

/** A delete marker that hides nothing goes when a rule says so, or when it has itself reached the age at which objects expire. */
export function isLoneMarkerDue(
  rules: readonly LifecycleRule[],
  subject: Subject,
  { nowMs, dayMs }: { readonly nowMs: number; readonly dayMs: number },
): boolean {
  return rules.some((rule) => {
    if (!matches(rule, subject)) return false;
    if (rule.removeLoneDeleteMarkers === true) return true;
    return rule.expireAfterDays !== undefined && dueAfter(subject.createdMs, rule.expireAfterDays, dayMs) <= nowMs;
  });
}
