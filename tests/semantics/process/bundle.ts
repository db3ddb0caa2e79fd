import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

export interface Bundle {
  /** Of the program, to be run with node. */
  readonly path: string;
  /** For what the program writes. */
  readonly directory: string;
  remove(): Promise<void>;
}

/** Makes one of the programs beside this file runnable by itself. */
export async function bundle(name: "writer" | "daemon"): Promise<Bundle> {
  const directory = await mkdtemp(join(tmpdir(), "globalfs-semantics-"));
  await symlink(join(import.meta.dirname, "../../../node_modules"), join(directory, "node_modules"));
  const path = join(directory, "program", `${name}.mjs`);
  await build({
    entryPoints: { [name]: join(import.meta.dirname, `${name}.ts`) },
    outdir: join(directory, "program"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  return { path, directory, remove: async () => await rm(directory, { recursive: true, force: true }) };
}
