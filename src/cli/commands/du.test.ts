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
