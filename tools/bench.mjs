// npm run bench -- NAME [FLAGS]: runs bench/NAME.ts. Without a name it lists them.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, runTool } from "./lib/run.mjs";
import { ensureBuilt } from "./lib/stale.mjs";

const names = readdirSync(join(ROOT, "bench"))
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.slice(0, -3));
const [name, ...words] = process.argv.slice(2);
if (!names.includes(name)) {
  process.stderr.write(`${name === undefined ? "" : `There is no bench ${name}. `}Name one of: ${names.join(", ")}.\n`);
  process.exit(name === undefined ? 0 : 2);
}

await ensureInstalled();
await ensureBuilt();
const { build } = await import("esbuild");
const outfile = join(ROOT, "dist", "bench", `${name}.mjs`);
await build({
  absWorkingDir: ROOT,
  entryPoints: [`bench/${name}.ts`],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  packages: "external",
  conditions: ["@globalfs/source"],
  sourcemap: "inline",
  logLevel: "warning",
  plugins: [{ name: "where-sources-are", setup: keepPlaces }],
});
process.exitCode = await runTool(outfile, words);

/** A bundle lies elsewhere than its sources; what they look up beside themselves is found all the same. */
function keepPlaces(bundle) {
  bundle.onLoad({ filter: /[\\/](bench|src|packages)[\\/].*\.ts$/ }, ({ path }) => ({
    loader: "ts",
    contents: readFileSync(path, "utf8")
      .replaceAll("import.meta.dirname", JSON.stringify(dirname(path)))
      .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
  }));
}
