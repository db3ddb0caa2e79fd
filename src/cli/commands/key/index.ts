import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineKeyCreate } from "./create.ts";
import { defineKeyDelete } from "./delete.ts";
import { defineKeyGenerate } from "./generate.ts";
import { defineKeyHash } from "./hash.ts";
import { defineKeyList } from "./list.ts";

/** Two kinds of keys: those that S3 clients sign with live in the catalog; those of the REST API live in the configuration. */
export function defineKey(program: Command, action: Action): void {
  const key = program.command("key").description("access keys of S3 clients, and API keys of the REST API");
  for (const define of [defineKeyCreate, defineKeyList, defineKeyDelete, defineKeyGenerate, defineKeyHash]) {
    define(key, action);
  }
}
