import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineObjectDelete } from "./delete.ts";
import { defineObjectGet } from "./get.ts";
import { defineObjectHead } from "./head.ts";
import { defineObjectList } from "./list.ts";
import { defineObjectPut } from "./put.ts";

export function defineObject(program: Command, action: Action): void {
  const object = program.command("object").description("objects by key");
  for (const define of [defineObjectGet, defineObjectPut, defineObjectDelete, defineObjectHead, defineObjectList]) {
    define(object, action);
  }
}
