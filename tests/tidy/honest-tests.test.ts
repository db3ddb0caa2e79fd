import { describe, expect, test } from "vitest";
import { filesBelow } from "./tree.ts";

/** Where tests let real time pass, and why nothing else would do. Everywhere else they wait for what they want to see, or move a clock. */
const MAY_SLEEP: Readonly<Record<string, string>> = {
  "packages/fuse/tests/lifecycle.test.ts":
    "the kernel keeps a mount for a while after its server has gone, and says nothing",
  "packages/fuse/tests/loopback.test.ts": "times of files on the disk below have to differ",
  "packages/fuse/tests/memory.test.ts": "a time of the kernel has to differ from the one before",
  "packages/fuse/tests/notifications.test.ts": "the kernel forgets what it was told to forget without an answer",
  "packages/fuse/tests/stress.test.ts": "load has to go on for a while before the server is killed",
  "src/coordinator/coordinator.test.ts": "a time of a file has to differ from the one before",
  "src/coordinator/testing/rig.ts": "looks again and again whether jobs have settled",
  "src/gateways/s3/events/delivery.test.ts":
    "a clock whose pauses are cut to 5 ms, so that retries over a real socket come soon",
  "tests/conformance/kv/lmdb-crash.test.ts": "a process is killed at a moment that chance chooses",
  "tests/conformance/store/cases/listings.ts": "an upload at a real server has to be older than its sweep",
  "tests/e2e/kill-completion.test.ts":
    "a daemon is killed at a moment that chance chooses, and its leader takes turns by itself",
  "tests/e2e/kill.test.ts": "a daemon is killed at a moment that chance chooses",
  "tests/e2e/support/until.ts": "looks again and again until something is so",
  "tests/semantics/durability.test.ts": "a process is killed at a moment that chance chooses",
  "tests/semantics/lifecycle.test.ts": "what the leader has begun at the end of the days goes to the disk",
  "tests/semantics/versions.test.ts": "a time of a file has to differ from the one before",
  "tests/servers/shared-server.ts": "looks again and again whether a server has started",
};
/** Assertions under a condition that stands in the test itself: each of the two ways is taken, and said. */
const MAY_DEPEND: Readonly<Record<string, string>> = {
  "packages/fuse/tests/differential.test.ts": "links of files, not of the directories in the same walk",
  "packages/fuse/tests/stress.test.ts": "one of two kinds of file system has a source",
  "src/namespace/namespace.model.test.ts": "versions of files, not of the markers of directories in the same walk",
  "packages/fuse/src/file-systems/memory/content.test.ts": "an allocation of nothing is another call",
  "src/gateways/rest/access/same-verdict.test.ts": "what is allowed is read back, and what is refused cannot be",
  "src/security/access/policy.test.ts": "an implication: where one denies, both together do",
  "tests/conformance/store/cases/objects.ts": "a read that broke off has no bytes to compare",
  "tests/conformance/store/cases/parts.ts": "capabilities choose what a driver has to keep",
  "tests/conformance/store/cases/writes.ts": "capabilities choose what a driver has to keep",
  "tests/e2e/missing-disk.test.ts": "each of its cases says what it expects of the start",
  "tests/semantics/reads.test.ts": "an object that is not there has no last byte",
  "tests/semantics/uploads.test.ts": "chance chooses which of two ends comes first, and both are looked at",
  "tests/sim/crash/deaths.ts": "the assertion is that nothing was found",
};

const SLEEPS = /new Promise(?:<[^>]*>)?\(\(\w+\) => (?:void )?setTimeout\(|await setTimeout\(|systemClock\.sleep\(/;
const DEPENDS = /^\s*(?:\} else )?if \([^\n]*\) (?:await )?expect\(/m;

const tests = filesBelow(["src", "tests", "packages"], [".ts"]).filter(
  ({ path }) =>
    (/\.test\.ts$|\/testing\/|^tests\//.test(path) && !path.startsWith("tests/tidy/")) ||
    /^packages\/[^/]+\/tests\//.test(path),
);
const having = (pattern: RegExp): string[] =>
  tests
    .filter(({ text }) => pattern.test(text))
    .map(({ path }) => path)
    .sort();

describe("tests", () => {
  test("are seen by this test at all", () => {
    expect(tests.length).toBeGreaterThan(150);
    expect(SLEEPS.test("await new Promise((resolve) => setTimeout(resolve, 700));")).toBe(true);
    expect(DEPENDS.test('  if (said !== "") expect(said).toMatch(/4/);')).toBe(true);
  });

  test("let no real time pass, but where it is said why", () => {
    expect(having(SLEEPS)).toEqual(Object.keys(MAY_SLEEP).sort());
  });

  test("assert without a condition, but where it is said why", () => {
    expect(having(DEPENDS)).toEqual(Object.keys(MAY_DEPEND).sort());
  });

  test("are not left out, and none runs alone", () => {
    const marks = /\b(?:it|test|describe)\.(?:only|todo)\(|\b(?:xit|xdescribe|fit|fdescribe)\(/;
    expect(having(marks)).toEqual([]);
  });
});

describe("the repository", () => {
  test("names no registry's host, and no place of the machine it was written on", () => {
    const hosts = /https?:\/\/(?:registry\.|npm\.|pypi\.|deb\.debian|proxy\.golang)[\w.-]*/;
    const places = /(?:^|["'`\s(=:])\/(?:work|root|home)\/[a-z]|\/tmp\/[a-z]+\/[a-z]+\//m;
    const everything = filesBelow([""], [".ts", ".mjs", ".js", ".md", ".json", ".sh", ".yaml", ".yml"]).filter(
      ({ path }) => !path.startsWith("tests/tidy/"),
    );
    expect(everything.length).toBeGreaterThan(300);
    expect(everything.filter(({ text }) => hosts.test(text)).map(({ path }) => path)).toEqual([]);
    expect(everything.filter(({ text }) => places.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
