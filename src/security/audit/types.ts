import { GfsError } from "../../core/errors.ts";

/** The audit trail: who did, was refused or used what, from where, and what was answered. All doors write through this one port. */
export interface AuditTrail {
  /** Throws `Unavailable` while lines cannot be written and that is to stop changes. Asked before something is changed. */
  assertWritable(): void;
  /** Of a request that may have changed something, before its answer goes out. Never throws: what cannot be written now is written later. */
  changed(request: AuditedRequest, outcome: AuditedOutcome): void;
  /** Of a request that was not let in. Written one by one up to a bound, and counted past it. */
  refused(request: AuditedRequest, outcome: AuditedOutcome): void;
  /**
   * A key was used on this connection. A line at its first use from an address, and one each hour with how often; cheap enough for every request.
   * `connection` and `identity` are told apart as objects.
   */
  used(connection: object, identity: object, describe: () => KeyUse): void;
  /** What has been written, for those who may read it. */
  query(query: AuditQuery): Promise<AuditPage>;
}

export interface AuditQuery {
  /** Lines after this number only. */
  readonly after?: number;
  /** Lines before this number only. */
  readonly before?: number;
  readonly limit: number;
  readonly user?: string;
  /** This path, and all below it. */
  readonly path?: string;
}

export interface AuditPage {
  /** The newest that fit, oldest first. */
  readonly lines: readonly AuditLine[];
  /** Older lines than these have not been looked at: `before` of the next question. */
  readonly before?: number;
}

export interface KeyUse {
  readonly door: string;
  readonly user: string;
  /** Empty: none was asked for. */
  readonly key: string;
  readonly from: string;
}

export interface AuditedRequest extends KeyUse {
  /** What was asked for, such as `PutObject` or `POST /api/v1/rename`. */
  readonly op: string;
  readonly path: string;
  /** Further paths that the request named: where a rename goes, each key of a list. */
  readonly paths?: readonly string[] | undefined;
  readonly requestId: string;
}

export interface AuditedOutcome {
  readonly status: number;
  /** Where an error says more than the status. */
  readonly code?: string | undefined;
  /** Whose key it was said to be, where that was not proved. */
  readonly claims?: string | undefined;
}

/** A line as it is read back: what its kind has, and what every line has. */
export interface AuditLine {
  readonly seq: number;
  /** ISO 8601. */
  readonly at: string;
  readonly kind: AuditKind;
  /** SHA-256 of the bytes of the line before, in hex. */
  readonly prev: string;
  readonly [field: string]: unknown;
}

/** `trail`: what became of the trail itself. */
export type AuditKind = "change" | "refusal" | "use" | "trail";

/** What a line says of its own: everything but its place in the chain. */
export interface AuditFields {
  readonly kind: AuditKind;
  readonly [field: string]: unknown;
}

/** Where there is no trail. */
export const noAudit: AuditTrail = {
  assertWritable: () => undefined,
  changed: () => undefined,
  refused: () => undefined,
  used: () => undefined,
  query: () =>
    Promise.reject(
      new GfsError("Unsupported", "This coordinator keeps no audit trail; see security.audit.enabled.", {
        op: "audit",
      }),
    ),
};
