import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineConfigInit } from "./init.ts";
import { defineConfigShow } from "./show.ts";
import { defineConfigValidate } from "./validate.ts";

export function defineConfig(program: Command, action: Action): void {
  const config = program.command("config").description("configuration files");
  for (const define of [defineConfigInit, defineConfigValidate, defineConfigShow]) define(config, action);
}
