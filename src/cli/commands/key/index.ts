import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineKeyCheck } from "./check.ts";
import { defineKeyCreate } from "./create.ts";
import { defineKeyGenerate } from "./generate.ts";
import { defineKeyHash } from "./hash.ts";
import { defineKeyList } from "./list.ts";
import { defineKeyRevoke } from "./revoke.ts";
import { defineKeyShow } from "./show.ts";

/** Keys live in the catalog, and open every door. The last two are for those that an operator begins with, which stand in the configuration. */
export function defineKey(program: Command, action: Action): void {
  const key = program.command("key").description("keys of users and programs: who may do what, through S3 and REST");
  for (const define of [
    defineKeyCreate,
    defineKeyList,
    defineKeyShow,
    defineKeyCheck,
    defineKeyRevoke,
    defineKeyGenerate,
    defineKeyHash,
  ]) {
    define(key, action);
  }
}
