import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";

type Tree = Readonly<Record<string, unknown>>;

/** A file site below the configuration's own directory. */
export function fileSite(name: string, role: "primary" | "burst" | "backup"): Tree {
  return { name, role, store: { driver: "file", path: name } };
}

/** A configuration file on a port that the system chooses; `extra` adds whole sections. */
export async function writeConfiguration(directory: string, sites: readonly Tree[], extra: Tree = {}): Promise<string> {
  const path = join(directory, "config.yaml");
  const whole = {
    global: { metrics_port: 0 },
    coordinator: { listen_addr: "127.0.0.1:0", data_dir: "catalog" },
    sites,
    ...extra,
    // Tests that are about keys say something else.
    security: { open: true, ...(extra["security"] as Tree | undefined) },
  };
  await writeFile(path, stringify(whole));
  return path;
}
