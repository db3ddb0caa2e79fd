import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineCoordinatorStart } from "./start.ts";
import { defineCoordinatorWorker } from "./worker.ts";

export function defineCoordinator(program: Command, action: Action): void {
  const coordinator = program.command("coordinator").description("the daemon");
  for (const define of [defineCoordinatorStart, defineCoordinatorWorker]) define(coordinator, action);
}
