import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "esbuild";

export interface Bundle {
  /** Of the program, to be run with node. */
  readonly path: string;
  /** For what the program writes. */
  readonly directory: string;
  remove(): Promise<void>;
}

/** Makes a program of the tests, a TypeScript file, runnable by itself: a process that can be killed. */
export async function bundle(source: string): Promise<Bundle> {
  const directory = await mkdtemp(join(tmpdir(), "globalfs-program-"));
  await symlink(join(import.meta.dirname, "../../node_modules"), join(directory, "node_modules"));
  const name = basename(source, ".ts");
  const path = join(directory, "program", `${name}.mjs`);
  await build({
    entryPoints: { [name]: source },
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
