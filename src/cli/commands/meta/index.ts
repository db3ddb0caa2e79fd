import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineMetaCheck } from "./check.ts";

export function defineMeta(program: Command, action: Action): void {
  defineMetaCheck(program.command("meta").description("the catalog of a stopped coordinator"), action);
}
