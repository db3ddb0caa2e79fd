import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineQuotaClear } from "./clear.ts";
import { defineQuotaSet } from "./set.ts";
import { defineQuotaShow } from "./show.ts";

export function defineQuota(program: Command, action: Action): void {
  const quota = program.command("quota").description("how much may lie below a directory");
  for (const define of [defineQuotaShow, defineQuotaSet, defineQuotaClear]) define(quota, action);
}
