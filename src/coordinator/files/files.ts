import type { Kit } from "../kit.ts";
import type { FileService } from "../service/service.ts";
import { createChanges } from "./changes.ts";
import { createContents } from "./contents.ts";
import { createLooks } from "./looks.ts";

export function createFileService(kit: Kit): FileService {
  return { ...createLooks(kit), ...createChanges(kit), ...createContents(kit) };
}
