// Bundles the library, the thread that it starts, the file systems and the command. `--types` writes the declarations, too.
import { execFileSync } from "node:child_process";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

await rm(join(PACKAGE, "dist"), { recursive: true, force: true });
await build({
  absWorkingDir: PACKAGE,
  entryPoints: {
    index: "src/index.ts",
    worker: "src/worker.ts",
    cli: "src/cli.ts",
    hello: "src/file-systems/hello.ts",
    memory: "src/file-systems/memory/index.ts",
    loopback: "src/file-systems/loopback/index.ts",
  },
  outdir: "dist",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  external: ["koffi"],
  sourcemap: true,
  sourcesContent: false,
  logLevel: "warning",
});

if (process.argv.includes("--types")) {
  const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const words = [compiler, "-p", join(PACKAGE, "tsconfig.declarations.json")];
  execFileSync(process.execPath, words, { cwd: PACKAGE, stdio: "inherit" });
}
