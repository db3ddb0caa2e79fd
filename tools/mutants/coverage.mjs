// Runs all tests once in the unchanged tree, to learn which of them reach which statement, how long they take, and which fail anyhow.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { addProbes } from "./probes.mjs";
import { Session } from "./session.mjs";

const SETUP = fileURLToPath(new URL("reached.mjs", import.meta.url));
const LIMIT_MS = 20 * 60_000;

/** `sources` and `tests` are paths from the copy's root. */
export async function findReached({ copy, sources, tests }) {
  const texts = new Map(sources.map((file) => [file, readFileSync(join(copy.root, file), "utf8")]));
  const probes = new Map();
  let next = 1;
  for (const [file, text] of texts) {
    const probed = addProbes(file, text, next);
    probes.set(file, { first: next, end: next + probed.count, probeAt: probed.probeAt });
    next += probed.count;
    writeFileSync(join(copy.root, file), probed.text);
  }
  const directory = join(copy.root, "tmp", "reached");
  mkdirSync(directory);
  writeFileSync(join(copy.root, "reached.mjs"), readFileSync(SETUP));
  const session = new Session({
    root: copy.root,
    include: tests,
    setupFiles: [join(copy.root, "reached.mjs")],
    temporary: copy.temporary,
    environment: { GLOBALFS_REACHED: directory },
  });
  const selections = tests.map((file) => ({ file: join(copy.root, file) }));
  const { failed, ran, ended } = await session.run({ selections, limitMs: LIMIT_MS, bail: false });
  await session.end();
  for (const [file, text] of texts) writeFileSync(join(copy.root, file), text);
  if (ended !== undefined) throw new Error("The tests did not come to their end in the unchanged tree.");
  return { reached: readReached(directory, copy.root, failed), probes, failed, ran };
}

/** By test id: file, time and probes; and the probes that were reached outside of tests. */
function readReached(directory, root, failed) {
  const failing = new Set(failed.map(({ testId }) => testId));
  const tests = new Map();
  const outside = new Set();
  for (const name of readdirSync(directory)) {
    const written = JSON.parse(readFileSync(join(directory, name), "utf8"));
    for (const probe of written.outside) outside.add(probe);
    for (const [id, { file, ms, probes }] of Object.entries(written.tests)) {
      if (!failing.has(id)) tests.set(id, { id, file: relative(root, file), ms, probes: new Set(probes) });
    }
  }
  return { tests, outside };
}
