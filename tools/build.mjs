// Bundles the command line and the daemons. Commands and large parts become chunks that are loaded only when they are needed.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "./lib/run.mjs";

/** Native code, and packages so large that bundling them helps nobody. */
export const EXTERNAL = ["lmdb", "koffi", "@node-rs/*", "@azure/*", "@aws-sdk/*"];

/** What bundled CommonJS packages expect to find. */
export const BANNER = {
  js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
};

// First, as what is newer than the product's own bundle counts as not built.
await import("../packages/fuse/tools/build.mjs");
await import("../packages/client/tools/build.mjs");

await rm(join(ROOT, "dist"), { recursive: true, force: true });
await build({
  absWorkingDir: ROOT,
  entryPoints: { globalfs: "src/cli/main.ts" },
  outdir: "dist",
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  external: EXTERNAL,
  conditions: ["@globalfs/source"],
  banner: BANNER,
  sourcemap: true,
  sourcesContent: false,
  logLevel: "warning",
});
