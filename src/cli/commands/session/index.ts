import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineSessionEvict } from "./evict.ts";
import { defineSessionList } from "./list.ts";

export function defineSession(program: Command, action: Action): void {
  const session = program.command("session").description("clients that cache what they read");
  for (const define of [defineSessionList, defineSessionEvict]) define(session, action);
}
