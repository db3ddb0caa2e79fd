import { describe, expect, it } from "vitest";
import { ROOT_INODE } from "../../core/ids.ts";
import type { Rule } from "../../placement/index.ts";
import { bodyAt, putForeign, rigCtx } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";

const ONE = { local: "primary" } as const;
const NEVER: Rule = {
  name: "as-it-is",
  keyPattern: "never/",
  operations: [],
  targetRoles: [],
  priority: 1,
  publish: "never",
};

/** `a` is a file with a further name, which it keeps, and `a` is somebody else's then. */
async function start(other: string): Promise<TimedRig<"local">> {
  const rig = await startTimed(ONE, { rules: [NEVER] });
  const { coordinator, put } = rig;
  const { files } = coordinator;
  await coordinator.createBucket(rigCtx, { name: "never" });
  await coordinator.createBucket(rigCtx, { name: "soon" });
  await put("a", "old");
  await rig.pass();
  const { file } = await files.walk(rigCtx, { path: "a", last: "itself" });
  const [directory = "", name = ""] = other.split("/");
  const { file: parent } = await files.walk(rigCtx, { path: directory, last: "itself" });
  await files.link(rigCtx, { inode: file?.inode as never, parent: parent?.inode as never, name });
  return rig;
}

describe("a path whose object belongs to a file that keeps another name", () => {
  it("is published although that file is to stay where it is", async () => {
    const rig = await start("never/kept");
    const { coordinator, sites, put, read, pass, jobsIn } = rig;
    await coordinator.files.unlink(rigCtx, { parent: ROOT_INODE, name: "a" });
    await put("a", "new");
    for (let turn = 0; turn < 3; turn++) await pass();
    expect(await bodyAt(sites.local, "a")).toBe("new");
    expect([await read("a"), await read("never/kept")]).toEqual(["new", "old"]);
    expect(await jobsIn("waiting")).toEqual([]);
    await coordinator.deleteObject(rigCtx, "never/kept");
    await pass();
    expect((await sites.local.list(rigCtx, { limit: 10 })).objects.map(({ key }) => key)).toEqual(["a"]);
  });

  it("is published although that file cannot be", async () => {
    const rig = await start("soon/kept");
    const { coordinator, sites, put, read, pass, jobsIn } = rig;
    await putForeign(sites.local, "soon/kept", "of another tool");
    await coordinator.files.unlink(rigCtx, { parent: ROOT_INODE, name: "a" });
    await pass();
    expect(await bodyAt(sites.local, "soon/kept")).toBe("of another tool");
    await put("a", "new");
    for (let turn = 0; turn < 3; turn++) await pass();
    expect(await bodyAt(sites.local, "a")).toBe("new");
    expect([await read("a"), await read("soon/kept")]).toEqual(["new", "old"]);
    expect(await jobsIn("waiting")).toEqual([]);
  });

  it("is published although that file was still to be, and then went to where nothing is", async () => {
    const rig = await start("never/kept");
    const { coordinator, sites, put, read, pass, jobsIn } = rig;
    await coordinator.pauseAllJobs(rigCtx, true);
    const { file } = await coordinator.files.walk(rigCtx, { path: "a", last: "itself" });
    const body = (async function* () {
      yield Buffer.from("written");
    })();
    await coordinator.files.commit(rigCtx, { inode: file?.inode as never, body, expect: "any" });
    await coordinator.files.unlink(rigCtx, { parent: ROOT_INODE, name: "a" });
    await put("a", "new");
    await coordinator.pauseAllJobs(rigCtx, false);
    for (let turn = 0; turn < 3; turn++) await pass();
    expect(await bodyAt(sites.local, "a")).toBe("new");
    expect([await read("a"), await read("never/kept")]).toEqual(["new", "written"]);
    expect(await jobsIn("waiting")).toEqual([]);
  });
});
