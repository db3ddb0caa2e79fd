import { dirname, join, resolve } from "node:path";
import { GfsError } from "../core/errors.ts";
import type { Config } from "./config/index.ts";
import type { CliContext } from "./context.ts";

/** Where `globalfs up` leaves what it runs with, in its directory. */
export const CONFIG_FILE = "config.yaml";
const PLACE = join(".globalfs", CONFIG_FILE);

/** Which catalog on this machine a command means: by the configuration of its coordinator, or by its directory. */
export interface CatalogChoice {
  readonly config?: string;
  readonly dataDir?: string;
}

export const CONFIG_HELP =
  "the coordinator's configuration file; without it, the one that `globalfs up` left here or above";

export async function catalogDirectory(context: CliContext, { config, dataDir }: CatalogChoice): Promise<string> {
  return dataDir ?? (await ownConfig(context, config)).coordinator.dataDirectory;
}

/** The configuration of a coordinator of this machine, from the file named or from the nearest that `globalfs up` left. */
export async function ownConfig(context: CliContext, named: string | undefined): Promise<Config> {
  const { loadConfig } = await import("./config/index.ts");
  const { env } = context.terminal;
  if (named !== undefined) return (await loadConfig({ path: named, env })).config;
  const found = await nearest(process.cwd());
  if (found === undefined) {
    throw new GfsError(
      "InvalidArgument",
      `Name the coordinator's configuration file with --config, or run the command where \`globalfs up\` left its ${PLACE}.`,
    );
  }
  return (await loadConfig({ ...found, env })).config;
}

/** A file of another user is not used: it would say which sites are read and written. */
async function nearest(start: string): Promise<{ path: string; content: string } | undefined> {
  const { readOwnFile } = await import("../security/index.ts");
  for (let directory = resolve(start); ; directory = dirname(directory)) {
    const path = join(directory, PLACE);
    const content = await readOwnFile(path);
    if (content !== undefined) return { path, content };
    if (dirname(directory) === directory) return undefined;
  }
}
