/** The audit trail: the port that doors write through, and the files behind it. */
export { AUDIT_DIRECTORY } from "./chain.ts";
export { boundKeyUses } from "./floods.ts";
export { type FileTrail, openAuditTrail } from "./file-trail.ts";
export {
  type AuditedOutcome,
  type AuditedRequest,
  type AuditFields,
  type AuditLine,
  type AuditPage,
  type AuditQuery,
  type AuditTrail,
  type KeyUse,
  noAudit,
} from "./types.ts";
export { type AuditReport, verifyTrail } from "./verify.ts";
