import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineSiteAdd } from "./add.ts";
import { defineSiteAdopt } from "./adopt.ts";
import { defineSiteList } from "./list.ts";
import { defineSiteRemove } from "./remove.ts";

export function defineSite(program: Command, action: Action): void {
  const site = program.command("site").description("the places that store data");
  for (const define of [defineSiteList, defineSiteAdd, defineSiteAdopt, defineSiteRemove]) define(site, action);
}
