// How a library of packages/ is made: bundles of its entries, and with `--types` the declarations.
import { execFileSync } from "node:child_process";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";

/**
 * @param {string} directory of the package
 * @param {{ entryPoints: Record<string, string>, external: string[] }} parts
 */
export async function buildPackage(directory, { entryPoints, external }) {
  await rm(join(directory, "dist"), { recursive: true, force: true });
  await build({
    absWorkingDir: directory,
    entryPoints,
    outdir: "dist",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    external,
    sourcemap: true,
    sourcesContent: false,
    logLevel: "warning",
  });
  if (!process.argv.includes("--types")) return;
  const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const words = [compiler, "-p", join(directory, "tsconfig.declarations.json")];
  execFileSync(process.execPath, words, { cwd: directory, stdio: "inherit" });
}
