import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesBelow, ROOT } from "./tree.ts";

/** Of packages that every Debian has: coreutils, findutils, diffutils, libc-bin, bash and dash; and those that come with Node. */
const EVERYWHERE: ReadonlySet<string> = new Set(
  "bash sh timeout cat ls rm touch find diff cmp install chown mkfifo stdbuf tar kill getent node npm npx".split(" "),
);
/** Packages that every Debian has, though other systems may not: their programs are listed, and no test has to ask for them. */
const REQUIRED: ReadonlySet<string> = new Set(["util-linux", "mount", "e2fsprogs"]);
/** Started only if they are there, or where `GLOBALFS_LONG=1` asks for what takes long; tests of them are left out otherwise. */
const OPTIONAL: ReadonlySet<string> = new Set(
  "initdb pg_checksums pg_isready pgbench psql postgres wrk strace".split(" "),
);
/** Words at the places of programs that are none: commands of our own. */
const OUR_OWN: ReadonlySet<string> = new Set("globalfs globalfs-coordinator globalfs-fuse".split(" "));

const table = readFileSync(join(ROOT, ".ci/packages"), "utf8");
const listed = new Map<string, string[]>();
for (const [, name, programs] of table.matchAll(/^([a-z][a-z0-9.+-]+):(.*)$/gm)) {
  listed.set(name as string, (programs as string).split(" ").filter(Boolean));
}
const provided = new Set([...listed.values()].flat());

const sources = filesBelow(["src", "tests", "bench", "tools", "packages"], [".ts", ".mjs"]).filter(
  ({ path }) =>
    /^(src\/.*\.test\.ts$|(tests|bench|tools|packages\/[^/]+\/(tests|tools|bench))\/)/.test(path) &&
    !path.startsWith("tests/tidy/"),
);

/** What is started by name. */
function startedIn(text: string): string[] {
  if (!/node:child_process|runProgram/.test(text)) return [];
  const calls = text.matchAll(
    /\b(?:spawn|spawnSync|execFile|execFileSync|promisify\(execFile\)|runProgram)\(\s*"([a-z][\w.-]*)"\s*[,)]/g,
  );
  // Words one by one are those of our own command.
  const runs = text.matchAll(/\brun\(\s*"([a-z][\w.-]*)",(?!\s*")/g);
  return [...calls, ...runs].map(([, name]) => name as string);
}

/** What is asked for with one of the words by which tests say what they need. */
function askedForIn(text: string): string[] {
  const found: string[] = [];
  for (const [, name] of text.matchAll(/\b(?:findProgram|isMissing|hasProgram)\(\s*"([a-z][\w.-]*)"\s*[,)]/g)) {
    found.push(name as string);
  }
  for (const [, names] of text.matchAll(/\b(?:programs: |missingProgram\(|missing\()\[([^\]]*)\]/g)) {
    for (const [, name] of (names as string).matchAll(/"([a-z][\w.-]*)"/g)) found.push(name as string);
  }
  for (const [, names] of text.matchAll(/\bPROGRAMS = \[([^;]*)\] as const/g)) {
    for (const [, name] of (names as string).matchAll(/\["([a-z][\w.-]*)"/g)) found.push(name as string);
  }
  return found;
}

function programsOf(text: string): string[] {
  return [...startedIn(text), ...askedForIn(text)];
}

function modulesOf(text: string): string[] {
  const modules = Array.from(text.matchAll(/^\s*import (boto3|botocore|yaml|requests|xattr)\b/gm), ([, name]) => name);
  return modules.map((name) => `python:${name as string}`);
}

describe("programs that tests, benches and tools start", () => {
  test("are seen by this test at all", () => {
    const all = new Set(sources.flatMap(({ text }) => [...programsOf(text), ...modulesOf(text)]));
    for (const name of ["aws", "rclone", "flock", "git", "radosgw", "fusermount3", "python:boto3"])
      expect(all).toContain(name);
  });

  test("are all in .ci/packages, from which .ci/run installs", () => {
    const unknown = sources.flatMap(({ path, text }) =>
      [...programsOf(text), ...modulesOf(text)]
        .filter((name) => ![provided, EVERYWHERE, OPTIONAL, OUR_OWN].some((set) => set.has(name)))
        .map((name) => `${path}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });

  test("are asked for by the test that starts them, so that npm test leaves out what a machine has nothing for", () => {
    const everyDebian = [...REQUIRED].flatMap((name) => listed.get(name) ?? []);
    const unasked = sources
      .filter(({ path }) => path.endsWith(".test.ts"))
      .flatMap(({ path, text }) => {
        const asked = new Set([...askedForIn(text), ...everyDebian]);
        const started = startedIn(text).filter((name) => ![asked, EVERYWHERE, OPTIONAL].some((set) => set.has(name)));
        return [...new Set(started)].map((name) => `${path}: ${name}`);
      });
    expect(unasked).toEqual([]);
  });

  test("are the only ones there, and .ci/run reads no other list", () => {
    const everything =
      sources.map(({ text }) => text).join("\n") +
      filesBelow(["tests", "docs"], [".sh", ".md"])
        .map(({ text }) => text)
        .join("\n");
    const unused = [...provided].filter(
      (name) => !new RegExp(`\\b${name.replace("python:", "import ")}\\b`).test(everything),
    );
    expect(unused).toEqual([]);
    const script = readFileSync(join(ROOT, ".ci/run"), "utf8");
    expect(script).toContain(".ci/packages");
    expect(Array.from(script.matchAll(/apt-get install[^\n]*/g), ([line]) => line)).toEqual([
      'apt-get install -y -q --no-install-recommends "${missing[@]}"',
    ]);
  });

  test("that a test asks people to install are in packages that are listed", () => {
    const asked = sources.flatMap(({ text }) =>
      Array.from(text.matchAll(/apt-get install ([a-z0-9.+-]+)/g), ([, name]) => name as string),
    );
    const aptPackages = sources.flatMap(({ text }) =>
      Array.from(text.matchAll(/isMissing\("[^"]+", "([^"]+)"\)/g), ([, name]) => name as string),
    );
    expect([...asked, ...aptPackages].filter((name) => !listed.has(name) && !OPTIONAL.has(name))).toEqual([]);
  });
});
