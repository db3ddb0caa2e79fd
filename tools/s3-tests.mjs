// npm run s3-tests -- DIRECTORY_OF_THE_SUITE [FLAGS]: Ceph's S3 tests against GlobalFS or Debian's radosgw, and the page that compares them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT } from "./lib/run.mjs";
import { ensureBuilt } from "./lib/stale.mjs";
import { failuresWithoutReason, makePage } from "./s3-tests/page.mjs";
import { startGlobalfs, startRadosgw } from "./s3-tests/servers.mjs";
import { runSuite } from "./s3-tests/suite.mjs";

const USAGE = `npm run s3-tests -- DIRECTORY [FLAGS]
  DIRECTORY            a checkout of github.com/ceph/s3-tests
  --against NAME       globalfs (default) or radosgw
  --only EXPRESSION    tests whose names fit, as pytest's -k; then no page is written
  --marks EXPRESSION   tests with these marks, as pytest's -m; then no page is written
  --python PROGRAM     a Python that has what the suite needs; default: Debian's, /usr/bin/python3
  --workers N          processes that run tests side by side; default 2
  --timeout SECONDS    for each test; default 120
  --results DIRECTORY  where results and logs are kept, and the page finds those of the other server; default: s3-tests-results in the system's temporary directory
  --page               makes the page of the results that are there, and runs nothing
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: "string", default: "globalfs" },
    only: { type: "string" },
    marks: { type: "string" },
    python: { type: "string", default: "/usr/bin/python3" },
    workers: { type: "string", default: "2" },
    timeout: { type: "string", default: "120" },
    results: { type: "string", default: join(tmpdir(), "s3-tests-results") },
    page: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const STARTERS = { globalfs: startGlobalfs, radosgw: startRadosgw };
const start = STARTERS[values.against];
const [suite] = positionals;
if (values.help || start === undefined || (suite === undefined && !values.page)) {
  process.stderr.write(USAGE);
  process.exit(values.help ? 0 : 2);
}

const resultsDirectory = resolve(values.results);
mkdirSync(resultsDirectory, { recursive: true });
if (!values.page) await runTests();
else writePage();

async function runTests() {
  await ensureInstalled();
  if (values.against === "globalfs") await ensureBuilt();
  const directory = await mkdtemp(join(tmpdir(), "s3-tests-"));
  const server = await start({ directory, logDirectory: resultsDirectory });
  try {
    const results = await runSuite({
      suite: resolve(suite),
      directory,
      server,
      python: values.python,
      workers: Number(values.workers),
      timeoutSeconds: Number(values.timeout),
      only: values.only,
      marks: values.marks,
      junit: join(resultsDirectory, `${values.against}.xml`),
    });
    const whole = values.only === undefined && values.marks === undefined;
    const name = whole ? values.against : `${values.against}-part`;
    writeFileSync(join(resultsDirectory, `${name}.json`), JSON.stringify(results, undefined, 1));
    process.stdout.write(`${values.against}: ${summary(results)}\n`);
    if (!whole) printFailed(results);
    else writePage();
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function writePage() {
  const ours = resultsOf("globalfs");
  if (ours === undefined) {
    process.stdout.write("There are no results of GlobalFS yet, so no page is written.\n");
    return;
  }
  const reasons = JSON.parse(readFileSync(join(ROOT, "tools", "s3-tests-reasons.json"), "utf8"));
  const page = makePage({ ours, theirs: resultsOf("radosgw"), reasons });
  writeFileSync(join(ROOT, "docs", "s3-compatibility.md"), page);
  const left = failuresWithoutReason(ours, reasons);
  process.stdout.write(`docs/s3-compatibility.md is written; ${left.length} failures without a reason.\n`);
  for (const { name, message } of left) process.stdout.write(`  ${name}: ${message}\n`);
  if (left.length > 0) process.exitCode = 1;
}

function resultsOf(name) {
  try {
    return JSON.parse(readFileSync(join(resultsDirectory, `${name}.json`), "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

function summary({ tests, seconds }) {
  const count = (outcome) => tests.filter((test) => test.outcome === outcome).length;
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped, in ${Math.round(seconds)} s`;
}

function printFailed({ tests }) {
  const failed = tests.filter(({ outcome }) => outcome === "failed");
  for (const { name, message } of failed) process.stdout.write(`  ${name}: ${message}\n`);
  if (failed.length > 0 || tests.length === 0) process.exitCode = 1;
}
