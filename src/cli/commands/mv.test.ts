import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rigCtx } from "../../coordinator/testing/rig.ts";
import { type Served, serveInProcess } from "../testing/served.ts";

const OPERATOR = "a key of the operator's, for tests";
let served: Served;
beforeAll(async () => {
  served = await serveInProcess();
});
afterAll(async () => served.stop());
beforeEach(async () => {
  await served.run(["rm", "-rf", "--all"]);
  for (const key of ["file", "dir/a"]) await served.rig.put(key, key);
});

async function keys(): Promise<string[]> {
  const { out } = await served.run(["object", "list", "--json"]);
  return (JSON.parse(out) as { key: string }[]).map(({ key }) => key);
}

describe("mv of a file to a directory", () => {
  test("that is named with its slash puts the file there under its own name, as cp does", async () => {
    expect(await served.run(["mv", "file", "dir/"])).toMatchObject({ exit: 0, err: "Renamed file to dir/file.\n" });
    expect(await keys()).toEqual(["dir/a", "dir/file"]);
    expect((await served.run(["mv", "dir/file", "gfs:new/"])).exit).toBe(0);
    expect(await keys()).toEqual(["dir/a", "new/file"]);
  });

  test.each([["-f"], ["--json"]])("without its slash makes no object beside the directory (%s)", async (flag) => {
    const { exit, err } = await served.run(["mv", flag, "file", "dir"]);
    expect([exit, err]).toEqual([2, expect.stringContaining("dir is a directory; write dir/")]);
    expect(await keys()).toEqual(["dir/a", "file"]);
  });

  test("replaces an object of the directory's name where there is one already", async () => {
    await served.rig.put("dir", "an object of that name");
    expect((await served.run(["mv", "file", "dir"])).exit).toBe(6);
    expect((await served.run(["mv", "-f", "file", "dir"])).exit).toBe(0);
    expect(await keys()).toEqual(["dir", "dir/a"]);
  });

  test("replaces what lies there under its name only when it is told to", async () => {
    await served.rig.put("dir/file", "older");
    expect((await served.run(["mv", "file", "dir/"])).exit).toBe(6);
    expect((await served.run(["mv", "-f", "file", "dir/"])).exit).toBe(0);
    expect(await keys()).toEqual(["dir/a", "dir/file"]);
  });
});

test("mv of a directory renames it", async () => {
  expect(await served.run(["mv", "dir/", "other/"])).toMatchObject({ exit: 0, err: "Renamed dir/ to other/.\n" });
  expect(await keys()).toEqual(["file", "other/a"]);
  expect((await served.run(["mv", "other/", "name"])).exit).toBe(2);
});

test("mv by who may not list the directory asks no more of it than a rename needs", async () => {
  await served.stop();
  served = await serveInProcess({}, OPERATOR);
  await served.rig.put("bucket/file", "file");
  await served.rig.put("bucket/dir/a", "a");
  const Statement = { Effect: "Deny", Principal: "*", Action: "s3:ListBucket", Resource: "arn:aws:s3:::bucket" };
  const policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await served.rig.coordinator.changeBucket(rigCtx, "bucket", { documents: { policy } });
  const env = { GLOBALFS_API_KEY: OPERATOR };
  expect((await served.run(["ls", "bucket/dir"], { env })).exit).toBe(5);
  const { exit, err } = await served.run(["mv", "bucket/file", "bucket/dir"], { env });
  expect([exit, err]).toEqual([0, "Renamed bucket/file to bucket/dir.\n"]);
});
