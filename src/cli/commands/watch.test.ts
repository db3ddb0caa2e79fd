import { afterAll, beforeAll, expect, test } from "vitest";
import { rigCtx } from "../../coordinator/testing/rig.ts";
import { type Served, serveInProcess } from "../testing/served.ts";

let served: Served;
beforeAll(async () => {
  served = await serveInProcess();
  await served.rig.put("a/b/x", "1");
  await served.rig.put("a/bc", "1");
  await served.rig.put("a/b/x", "2");
  await served.rig.coordinator.rename(rigCtx, { from: "a/", to: "z/" });
  await served.rig.put("a/b/last", "1");
});
afterAll(async () => await served.stop());

const watch = async (...words: readonly string[]) => await served.run(["watch", "--after", "0", ...words]);

test("watch shows what happened to names, a line each, and says when it listens", async () => {
  const { exit, out, err } = await watch("--count", "5");
  expect([exit, err]).toEqual([0, "Watching everything; Ctrl-C ends it.\n"]);
  expect(out.replaceAll(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/gm, "T").split("\n")).toEqual([
    "T  created  a/b/x",
    "T  created  a/bc",
    "T  updated  a/b/x",
    "T  renamed  z  from a",
    "T  created  a/b/last",
    "",
  ]);
});

test("a path is that object or directory, with what becomes of those above it, and nothing beside it", async () => {
  const { out } = await watch("gfs:a/b", "--count", "4", "--json");
  const events = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events.map(({ kind, path }) => `${String(kind)} ${String(path)}`)).toEqual([
    "created a/b/x",
    "updated a/b/x",
    "renamed z",
    "created a/b/last",
  ]);
  expect(events[0]).toMatchObject({ position: expect.any(Number), version_id: expect.any(String) });
  expect((await watch("--kind", "renamed", "--count", "1")).out).toContain("renamed  z  from a");
});

test.each([
  ["--kind", "made"],
  ["--after", "yesterday"],
  ["--count", "0"],
])("watch %s %s is refused before anything is asked", async (...words) => {
  expect((await served.run(["watch", ...words])).exit).toBe(2);
});
