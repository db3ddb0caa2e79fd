import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { ROOT_INODE } from "../../core/ids.ts";
import { checkCatalog } from "../../namespace/index.ts";
import type { Store } from "../../stores/index.ts";
import { bodyAt, putForeign, type Rig, rigCtx, type RigOptions, startRig } from "../testing/rig.ts";
import { startTimed } from "../testing/timed-rig.ts";
import { errnoOf, openSession, type Tree, treeOf } from "../testing/tree.ts";

let rig: Rig;
let tree: Tree;

async function begin(options?: RigOptions): Promise<void> {
  rig = await startRig(options);
  onTestFinished(async () => await rig.stop());
  tree = treeOf(rig.coordinator.files);
}

afterEach(async () => {
  const { faults } = await checkCatalog(rig.kv);
  expect(faults).toEqual([]);
});

/** What lies under the keys at both sites. */
async function atSites(...keys: readonly string[]): Promise<(string | undefined)[][]> {
  await rig.settled();
  return await Promise.all(
    ["local", "cloud"].map(async (site) => {
      const store = rig.stores[site] as Store;
      return await Promise.all(keys.map(async (key) => await bodyAt(store, key)));
    }),
  );
}

describe("names", () => {
  it("of objects and of files are the same, and what is renamed here is renamed there", async () => {
    await begin();
    await rig.put("d/object", "bytes");
    await rig.settled();
    await tree.mkdir("d/sub");
    expect(await tree.names("d")).toEqual(["object", "sub"]);
    expect(await tree.rename("d/object", "d/sub/file")).toMatchObject({ kind: "file", sizeBytes: 5, linkCount: 1 });
    expect(await rig.read("d/sub/file")).toBe("bytes");
    await expect(rig.read("d/object")).rejects.toThrow("no object");
    expect(await atSites("d/object", "d/sub/file")).toEqual([
      [undefined, "bytes"],
      [undefined, "bytes"],
    ]);
  });

  it("go with their objects at every site when they are taken away", async () => {
    await begin();
    await rig.put("d/a", "1");
    await rig.settled();
    await tree.unlink("d/a");
    await expect(rig.read("d/a")).rejects.toThrow("no object");
    expect(await atSites("d/a")).toEqual([[undefined], [undefined]]);
    await tree.rmdir("d");
    expect(await tree.names("")).toEqual([]);
  });

  it("of one file may be several, and its object lies under one that is left", async () => {
    await begin();
    await rig.put("a", "shared");
    expect(await tree.link("a", "dir-b")).toMatchObject({ linkCount: 2 });
    expect([await rig.read("dir-b"), await tree.inode("dir-b")]).toEqual(["shared", await tree.inode("a")]);
    expect(await atSites("a", "dir-b")).toEqual([
      ["shared", undefined],
      ["shared", undefined],
    ]);
    await tree.unlink("a");
    expect(await rig.read("dir-b")).toBe("shared");
    expect(await atSites("a", "dir-b")).toEqual([
      [undefined, "shared"],
      [undefined, "shared"],
    ]);
  });

  it("may be exchanged, and the objects of both follow", async () => {
    await begin();
    await rig.put("x/a", "one");
    await rig.put("y/b", "two");
    await rig.settled();
    await tree.exchange("x/a", "y/b");
    expect([await rig.read("x/a"), await rig.read("y/b")]).toEqual(["two", "one"]);
    await tree.exchange("x", "y");
    expect([await rig.read("y/a"), await rig.read("x/b")]).toEqual(["two", "one"]);
  });

  it("that replace others leave nothing of them, and replace nothing where that is not wanted", async () => {
    await begin();
    await rig.put("a", "one");
    await rig.put("b", "two");
    await rig.settled();
    expect(await errnoOf(tree.rename("a", "b", { noReplace: true }))).toBe("EEXIST");
    expect(await errnoOf(tree.rename("none", "c"))).toBe("ENOENT");
    await tree.rename("a", "b");
    expect(await atSites("a", "b")).toEqual([
      [undefined, "one"],
      [undefined, "one"],
    ]);
  });

  it("that only a site has are taken in when they are looked up, and directories on the way with them", async () => {
    await begin();
    await putForeign(rig.stores["local"] as Store, "found/deep/x", "theirs");
    expect(await errnoOf(tree.stat("found/deep/y"))).toBe("ENOENT");
    expect(await tree.stat("found/deep/x")).toMatchObject({ kind: "file", sizeBytes: 6 });
    expect(await tree.names("found/deep")).toEqual(["x"]);
    await putForeign(rig.stores["local"] as Store, "found/z", "more");
    const parent = await tree.inode("found");
    expect(await rig.coordinator.files.lookup(rigCtx, { parent, name: "z" })).toMatchObject({ sizeBytes: 4 });
    expect(await rig.coordinator.files.lookup(rigCtx, { parent, name: "none" })).toBeUndefined();
  });

  it("may be no keys, and then are in no listing of objects", async () => {
    await begin();
    const { files } = rig.coordinator;
    const name = "not\udcffutf-8\n";
    await files.mkdir(rigCtx, { parent: ROOT_INODE, name, mode: 0o700, uid: 0, gid: 0 });
    expect(await tree.names("")).toEqual([name]);
    expect(await rig.coordinator.listObjects(rigCtx, { limit: 10 })).toMatchObject({ objects: [], prefixes: [] });
  });
});

describe("what loses its last name while it is open", () => {
  it("stays for those who have it open, and its objects go with the last of them", async () => {
    await begin();
    await rig.put("a", "open");
    await rig.settled();
    const inode = await tree.inode("a");
    const [one, two] = [await openSession(rig.kv, "one"), await openSession(rig.kv, "two")];
    expect(await tree.unlink("a", [one, two])).toMatchObject({ inode });
    const { files } = rig.coordinator;
    expect(await files.getattr(rigCtx, inode)).toMatchObject({ linkCount: 0, sizeBytes: 4 });
    await files.release(rigCtx, { session: one, inode });
    expect(await atSites("a")).toEqual([["open"], ["open"]]);
    await files.endSession(rigCtx, { session: two });
    expect(await errnoOf((async () => await files.getattr(rigCtx, inode))())).toBe("ENOENT");
    expect(await atSites("a")).toEqual([[undefined], [undefined]]);
  });

  it("leaves its name free for another at once, whose object comes there when it is gone", async () => {
    const timed = await startTimed({ local: "primary" });
    const own = treeOf(timed.coordinator.files);
    await timed.put("a", "old");
    const one = await openSession(timed.kv, "one");
    await own.unlink("a", [one]);
    await timed.put("a", "new");
    for (let turn = 0; turn < 5; turn++) await timed.clock.advance(61_000);
    expect([await timed.read("a"), await bodyAt(timed.stores["local"] as Store, "a")]).toEqual(["new", "old"]);
    await timed.coordinator.files.endSession(rigCtx, { session: one });
    await timed.pass();
    expect([await timed.read("a"), await bodyAt(timed.stores["local"] as Store, "a")]).toEqual(["new", "new"]);
  });
});

describe("attributes", () => {
  it("are of the inode, whatever an object's content becomes", async () => {
    await begin();
    await rig.put("a", "1");
    const { files } = rig.coordinator;
    const inode = await tree.inode("a");
    await files.setattr(rigCtx, { inode, mode: 0o640, uid: 7, gid: 8, modified: { ms: 5, ns: 6 } });
    await files.setxattr(rigCtx, { inode, name: "user.colour", value: Buffer.from("blue") });
    expect(await tree.stat("a")).toMatchObject({ mode: 0o640, uid: 7, gid: 8, modified: { ms: 5, ns: 6 } });
    await rig.put("a", "22");
    expect(await tree.stat("a")).toMatchObject({ inode, mode: 0o640, uid: 7, gid: 8, sizeBytes: 2 });
    expect(await files.listxattr(rigCtx, { inode })).toEqual(["user.colour"]);
    await files.removexattr(rigCtx, { inode, name: "user.colour" });
    expect(await errnoOf((async () => await files.getxattr(rigCtx, { inode, name: "user.colour" }))())).toBe("ENODATA");
  });

  it("say who may do what, where somebody is named who asks", async () => {
    await begin();
    await tree.mkdir("d");
    await tree.create("d/f");
    const who = { uid: 2_000, gid: 2_000, groups: [] };
    const { files } = rig.coordinator;
    const [parent, inode] = [await tree.inode("d"), await tree.inode("d/f")];
    const child = { parent, name: "f" };
    const refused = [
      files.unlink(rigCtx, { ...child, who }),
      files.mkdir(rigCtx, { parent, name: "g", mode: 0o755, uid: 0, gid: 0, who }),
      files.rename(rigCtx, { from: child, to: { parent, name: "g" }, who }),
      (async () => await files.access(rigCtx, { inode, wanted: 2, who }))(),
    ];
    for (const work of refused) expect(await errnoOf(work)).toBe("EACCES");
    expect(await errnoOf(files.setattr(rigCtx, { inode, mode: 0, who }))).toBe("EPERM");
    await files.setattr(rigCtx, { inode: parent, mode: 0o777 });
    await files.rename(rigCtx, { from: child, to: { parent, name: "g" }, who });
    expect(await files.mkdir(rigCtx, { parent, name: "own", mode: 0o755, uid: 0, gid: 0, who })).toMatchObject({
      uid: 2_000,
    });
  });
});
