import { GfsError } from "../../../core/errors.ts";
import type { Kv } from "../../../kv/index.ts";
import type { CliContext } from "../../context.ts";

/** Which catalog a command means. */
export interface CatalogChoice {
  readonly config?: string;
  readonly dataDir?: string;
}

export async function directoryOf(context: CliContext, options: CatalogChoice): Promise<string> {
  if (options.dataDir !== undefined) return options.dataDir;
  if (options.config === undefined) {
    throw new GfsError("InvalidArgument", "Name the catalog with --config FILE or with --data-dir DIRECTORY.");
  }
  const { loadConfig } = await import("../../config/index.ts");
  return (await loadConfig({ path: options.config, env: context.terminal.env })).config.coordinator.dataDirectory;
}

/** Beside the process that owns it, if one runs. */
export async function openToRead(directory: string): Promise<Kv> {
  const { openLmdbReader } = await import("../../../kv/index.ts");
  return await openLmdbReader(directory);
}
