import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineAuditTail } from "./tail.ts";
import { defineAuditVerify } from "./verify.ts";

export function defineAudit(program: Command, action: Action): void {
  const audit = program.command("audit").description("who changed, was refused or used what");
  for (const define of [defineAuditTail, defineAuditVerify]) define(audit, action);
}
