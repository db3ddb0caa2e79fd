import { GfsError } from "../core/errors.ts";
import type { VersionRules } from "./bucket-codec.ts";
import type { FileVersion, Retention, VersionDetails, VersionLabels } from "./types.ts";

/** What keeps a version from being destroyed, and what may change about that. */

const DAY_MS = 86_400_000;

export interface Destroyer {
  readonly path: string;
  readonly nowMs: number;
  readonly bypassGovernance?: boolean;
}

/** Says why a version must stay; undefined when it may go. */
function reasonToKeep(version: FileVersion, { nowMs, bypassGovernance }: Destroyer): string | undefined {
  const lock = version.details?.labels?.lock;
  if (lock === undefined) return undefined;
  if (lock.legalHold === true) return "it is under legal hold, which has to be lifted first";
  const { retention } = lock;
  if (retention === undefined || retention.untilMs <= nowMs) return undefined;
  const until = new Date(retention.untilMs).toISOString();
  if (retention.mode === "compliance") return `it is retained until ${until}, and nobody can shorten that`;
  return bypassGovernance === true ? undefined : `it is retained until ${until}, unless governance is bypassed`;
}

export function isLocked(version: FileVersion, destroyer: Destroyer): boolean {
  return reasonToKeep(version, destroyer) !== undefined;
}

export function assertDestroyable(version: FileVersion | undefined, destroyer: Destroyer): void {
  const reason = version === undefined ? undefined : reasonToKeep(version, destroyer);
  if (reason === undefined) return;
  throw denied(`This version of ${destroyer.path} must not be removed: ${reason}.`);
}

export function denied(sentence: string): GfsError {
  return new GfsError("PermissionDenied", sentence, { op: "namespace.locks", context: { s3: "AccessDenied" } });
}

/** The version as it is when it enters a bucket: whether it counts as one of its own, and how long it is retained. */
export function settleVersion(version: FileVersion, rules: VersionRules, nowMs: number): FileVersion {
  const { details } = version;
  const versioned = rules.versioning === "enabled";
  const lock = details?.labels?.lock;
  if (!rules.objectLock && (lock?.retention !== undefined || lock?.legalHold === true)) throw noObjectLock();
  const retained =
    rules.defaultRetention !== undefined && lock?.retention === undefined
      ? retentionFrom(rules.defaultRetention, nowMs)
      : undefined;
  if ((details?.versioned === true) === versioned && retained === undefined) return version;
  const { versioned: _, ...kept } = details ?? {};
  const labels: VersionLabels | undefined =
    retained === undefined ? kept.labels : { ...kept.labels, lock: { ...lock, retention: retained } };
  const settled: VersionDetails = {
    ...kept,
    ...(versioned ? { versioned } : {}),
    ...(labels === undefined ? {} : { labels }),
  };
  const { details: _details, ...bare } = version;
  return Object.keys(settled).length === 0 ? bare : { ...bare, details: settled };
}

export function retentionFrom(
  { mode, days }: { readonly mode: Retention["mode"]; readonly days: number },
  nowMs: number,
): Retention {
  return { mode, untilMs: nowMs + days * DAY_MS };
}

export function noObjectLock(): GfsError {
  return new GfsError("InvalidArgument", "The bucket has no object lock, so nothing in it can be retained or held.", {
    op: "namespace.locks",
    context: { s3: "InvalidRequest" },
  });
}

/** Longer is always allowed; anything else needs the bypass, and compliance lets nobody. */
export function assertRetentionChange(
  before: Retention | undefined,
  after: Retention | undefined,
  { path, nowMs, bypassGovernance }: Destroyer,
): void {
  if (after !== undefined && after.untilMs <= nowMs) {
    throw new GfsError("InvalidArgument", "A version can be retained only until a moment in the future.", {
      op: "namespace.locks",
    });
  }
  if (before === undefined || before.untilMs <= nowMs) return;
  const longer = after !== undefined && after.mode === before.mode && after.untilMs >= before.untilMs;
  if (longer) return;
  const until = new Date(before.untilMs).toISOString();
  if (before.mode === "compliance")
    throw denied(`${path} is retained until ${until} in compliance mode; that can only be made longer.`);
  if (bypassGovernance !== true)
    throw denied(`${path} is retained until ${until}; only who may bypass governance can change that.`);
}
