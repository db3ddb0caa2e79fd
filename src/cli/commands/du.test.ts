import { afterAll, beforeAll, expect, test } from "vitest";
import { rigCtx } from "../../coordinator/testing/rig.ts";
import { type Served, serveInProcess } from "../testing/served.ts";

let served: Served;
beforeAll(async () => {
  served = await serveInProcess();
  for (const [key, size] of [
    ["data/x", 2],
    ["data/deep/y", 3],
    ["data2/z", 500_000],
  ] as const) {
    await served.rig.put(key, "1".repeat(size));
  }
  await served.rig.settled();
});
afterAll(async () => served.stop());

async function usage(...words: string[]): Promise<unknown> {
  const { exit, out, err } = await served.run(["du", ...words, "--json"]);
  expect([exit, err]).toEqual([0, ""]);
  return JSON.parse(out);
}

const everywhere = (objects: number, bytes: number): object => ({
  objects,
  bytes,
  by_site: { local: { objects, bytes }, cloud: { objects, bytes } },
});

test("du counts what is below a directory, and not what only begins with the same letters", async () => {
  expect(await usage("data")).toEqual({ prefix: "data/", ...everywhere(2, 5) });
  expect(await usage("gfs:data/")).toEqual({ prefix: "data/", ...everywhere(2, 5) });
  expect(await usage()).toEqual({ prefix: "", ...everywhere(3, 500_005) });
  expect(await usage("/")).toMatchObject(everywhere(3, 500_005));
});

test("du of an object is its own size, at each site that has it", async () => {
  expect(await usage("data/x")).toEqual({ prefix: "data/x", ...everywhere(1, 2) });
});

test("du shows sizes for people, and exact ones when asked", async () => {
  expect((await served.run(["du", "data2"])).out).toMatch(/^\(files\) {8}1 {2}488 KiB$/m);
  expect((await served.run(["du", "data2", "--bytes"])).out).toMatch(/^\(files\) {8}1 {2}500000$/m);
});

test("du of what is not there says so", async () => {
  expect(await served.run(["du", "dato"])).toMatchObject({
    exit: 4,
    out: "",
    err: "globalfs: There is no object dato; did you mean data?\n",
  });
  expect((await served.run(["du", "data/x/"])).exit).toBe(4);
});

test("du of what only a site knows says that it is not counted yet", async () => {
  const store = served.rig.stores["cloud"];
  const staged = await store?.stage(rigCtx, "foreign/a", {});
  await staged?.write(Buffer.from("1"));
  await staged?.seal();
  await staged?.commit(rigCtx);
  const { exit, err } = await served.run(["du", "foreign"]);
  expect([exit, err]).toEqual([
    0,
    "What is below foreign is not in the catalog yet; globalfs import SITE foreign/ takes it in.\n",
  ]);
});

test("du --total tells bytes and inodes as the catalog keeps them", async () => {
  const total = { path: "data", bytes: 5, inodes: 3, older_bytes: 0 };
  expect(JSON.parse((await served.run(["du", "--total", "data/", "--json"])).out)).toEqual(total);
  expect((await served.run(["du", "--total", "data"])).out).toMatch(/^Files: +5 \(5 B\)\nInodes: +3$/m);
  expect(await served.run(["du", "--total", "dato"])).toMatchObject({ exit: 4 });
});

test("quotas are shown, set and taken away", async () => {
  const run = async (...words: string[]): Promise<unknown> => {
    const { exit, out, err } = await served.run(["quota", ...words, "--json"]);
    return exit === 0 ? JSON.parse(out) : err;
  };
  const used = { path: "data2", bytes: 500_000, inodes: 1, older_bytes: 0 };
  expect(await run("show", "data2/")).toEqual(used);
  const limited = { ...used, max_bytes: 500_001, max_inodes: 2 };
  expect(await run("set", "data2", "--max-bytes", "500001", "--max-inodes", "2")).toEqual(limited);
  expect((await served.run(["quota", "show", "data2"])).out).toMatch(/^Most inodes: +2$/m);
  await expect(served.rig.put("data2/x", "12")).rejects.toMatchObject({ code: "QuotaExceeded" });
  await served.rig.put("data2/x", "1");
  expect(await run("set", "/", "--max-bytes", "1TiB")).toMatchObject({ path: "", max_bytes: 1024 ** 4 });
  expect(await run("clear", "/")).toEqual({ path: "/", cleared: true });
  expect(await run("clear", "data2")).toEqual({ path: "data2", cleared: true });
  await served.rig.put("data2/x", "12");
  for (const words of [["data2"], ["data2", "--max-inodes", "many"], ["data2", "--max-bytes", "much"]])
    expect((await served.run(["quota", "set", ...words])).exit, words.join(" ")).toBe(2);
  expect((await served.run(["quota", "set", "nowhere", "--max-inodes", "1"])).exit).toBe(4);
});
