import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { execFileSync } from "node:child_process";
import { run } from "../lib/run.mjs";

/** What the suite is told of the server: users, keys, and how long a day of a lifecycle is. */
export function configurationOf({ host, port, region, lifecycleDaySeconds }, users) {
  const section = (name, user, more = {}) =>
    [`[${name}]`, ...Object.entries({ ...user, ...more }).map(([key, value]) => `${key} = ${value}`), ""].join("\n");
  return [
    section("DEFAULT", { host, port, is_secure: "False", ssl_verify: "False" }),
    section("fixtures", {
      "bucket prefix": "compat-{random}-",
      "iam name prefix": "compat-",
      "iam path prefix": "/compat/",
    }),
    section("s3 main", users.main, {
      ...(region === undefined ? {} : { api_name: region }),
      lc_debug_interval: lifecycleDaySeconds,
    }),
    section("s3 alt", users.alt),
    section("s3 tenant", users.tenant, { tenant: users.tenant.user_id.split("$")[0] }),
    section("iam", users.iam),
    section("iam root", users.root),
    section("iam alt root", users.altRoot),
  ].join("\n");
}

/** Runs the suite with pytest and gives what became of each test. */
export async function runSuite({ suite, directory, server, python, workers, timeoutSeconds, only, marks, junit }) {
  const record = join(directory, "record.jsonl");
  for (let worker = 0; worker < Math.max(workers, 1); worker++) {
    writeFileSync(join(directory, `gw${worker}.conf`), configurationOf(server, server.createUsers(`-${worker}`)));
  }
  const environment = {
    ...withoutCloudSettings(process.env),
    RECORDER_CONFIGURATIONS: directory,
    RECORDER_FILE: record,
    PYTHONPATH: [import.meta.dirname, process.env.PYTHONPATH].filter(Boolean).join(delimiter),
    PYTHONDONTWRITEBYTECODE: "1",
  };
  const startedMs = performance.now();
  const code = await run(
    python,
    [
      // The modules with the limit on time and the several processes are found by pytest itself.
      "-mpytest",
      "-q",
      "--no-header",
      "--tb=no",
      "-precorder",
      "-pno:cacheprovider",
      `--timeout=${timeoutSeconds}`,
      `--numprocesses=${workers}`,
      ...(only === undefined ? [] : ["-k", only]),
      ...(marks === undefined ? [] : ["-m", marks]),
      `--junitxml=${junit}`,
      "s3tests/functional",
    ],
    { cwd: suite, env: environment, stdio: ["ignore", "inherit", "inherit"] },
  );
  // 0: all passed, 1: some failed. Everything else is no result.
  if (code > 1 || !existsSync(record)) throw new Error(`pytest ended with code ${code}; see what it said above.`);
  return {
    server: server.description,
    suite: gitRevision(suite),
    client: version(python, environment, "import boto3, sys; print(boto3.__version__, sys.version.split()[0])"),
    seconds: (performance.now() - startedMs) / 1_000,
    tests: outcomes(readFileSync(record, "utf8")),
  };
}

/** A test that fails while it is cleaned up has failed; one line a test. */
export function outcomes(record) {
  const tests = new Map();
  for (const text of record.split("\n").filter(Boolean)) {
    const line = JSON.parse(text);
    const known = tests.get(`${line.file} ${line.name}`);
    if (known === undefined || (line.outcome === "failed" && known.outcome !== "failed")) {
      tests.set(`${line.file} ${line.name}`, line);
    }
  }
  return [...tests.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** The tester's own accounts and certificates do not belong in this. */
function withoutCloudSettings(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("AWS_")));
}

function gitRevision(directory) {
  return execFileSync("git", ["-C", directory, "log", "-1", "--format=%h of %as"], { encoding: "utf8" }).trim();
}

function version(python, env, program) {
  const [client, language] = execFileSync(python, ["-c", program], { encoding: "utf8", env }).trim().split(" ");
  return `boto3 ${client} on Python ${language}`;
}
