import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineMetaBackup } from "./backup.ts";
import { defineMetaBackups } from "./backups.ts";
import { defineMetaCheck } from "./check.ts";
import { defineMetaDump } from "./dump.ts";
import { defineMetaRebuild } from "./rebuild.ts";
import { defineMetaLoad } from "./load.ts";

export function defineMeta(program: Command, action: Action): void {
  const meta = program
    .command("meta")
    .description("the catalog as a whole: what is wrong with it, written out, read back, made again");
  defineMetaCheck(meta, action);
  defineMetaDump(meta, action);
  defineMetaLoad(meta, action);
  defineMetaBackup(meta, action);
  defineMetaBackups(meta, action);
  defineMetaRebuild(meta, action);
}
