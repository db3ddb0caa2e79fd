import { beforeEach, describe, expect, it } from "vitest";
import type { Inode, SessionId, VersionId } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { orphanHolderSpace, orphanSpace } from "../orphan-rows.ts";
import { findTombstone } from "../tombstones.ts";
import { at } from "../testing/catalog.ts";
import * as posix from "./index.ts";
import { codeOf, NOW, PosixCatalog } from "./testing/posix-catalog.ts";

let catalog: PosixCatalog;
beforeEach(async () => {
  catalog = await PosixCatalog.open();
});
const LATER = { ms: 10_000, ns: 7 };
const ONE = "one" as SessionId;
const OTHER = "other" as SessionId;
const id = (text: string): VersionId => text as VersionId;
const isThere = async (inode: Inode): Promise<string> => await codeOf(catalog.view((tx) => posix.getattr(tx, inode)));
const rows = async (): Promise<number> =>
  (await catalog.rowsBelow(orphanSpace)) + (await catalog.rowsBelow(orphanHolderSpace));

describe("a name that is taken away", () => {
  it("takes a file along with its last one, and tells whose objects nobody needs", async () => {
    const { file } = await catalog.put("d/a");
    await catalog.link("d/a", "b");
    catalog.now = LATER;
    const told = await catalog.told(async () => {
      expect(await catalog.unlink("d/a", { tombstoneVersionId: id("9") })).toMatchObject({
        orphans: [],
        file: { linkCount: 2 },
      });
    });
    expect(told).toMatchObject([
      { kind: "created", path: "d" },
      { kind: "removed", path: "d/a", inode: file.inode, versionId: file.version?.id, atMs: 10_000 },
    ]);
    expect(await catalog.stat("b")).toMatchObject({ linkCount: 1, changed: LATER, parent: { inode: 1, name: "b" } });
    expect(await catalog.stat("d")).toMatchObject({ modified: LATER, changed: LATER });
    expect((await catalog.view((tx) => findTombstone(tx, at("d/a"))))?.versionId).toBe("9");
    const { orphans } = await catalog.unlink("b");
    expect(orphans).toMatchObject([{ site: "local", key: "d/a" }]);
    expect([await isThere(file.inode), await catalog.isOwned("d/a")]).toEqual(["ENOENT", false]);
    await catalog.noFaults();
  });

  it("leaves the directory, also one that only objects needed", async () => {
    await catalog.put("d/e/a");
    await catalog.unlink("d/e/a");
    expect(await catalog.names("d")).toEqual(["e"]);
    await catalog.rmdir("d/e");
    expect(await catalog.names("d")).toEqual([]);
    await catalog.noFaults();
  });

  it("stays below a delete marker where versions are kept", async () => {
    await catalog.writeBucket("b");
    await catalog.putApart("b/d/a", { id: id("1") });
    catalog.now = LATER;
    const { orphans } = await catalog.unlink("b/d/a", { tombstoneVersionId: id("2"), heldBy: [ONE] });
    expect([orphans, await catalog.history("b/d/a")]).toEqual([[], ["2!", "1"]]);
    expect(await catalog.stat("b/d")).toMatchObject({ modified: LATER });
    expect(await rows()).toBe(0);
    await catalog.noFaults();
    await catalog.rmdir("b/d", { heldBy: [ONE] });
    expect([await catalog.history("b/d/a"), await rows()]).toEqual([["2!", "1"], 0]);
    await catalog.noFaults();
  });

  it("has to be that of a file, or of an empty directory", async () => {
    await catalog.mknod("a");
    await catalog.mkdir("d");
    await catalog.mknod("d/x");
    expect(await codeOf(catalog.unlink("d"))).toBe("EISDIR");
    expect(await codeOf(catalog.unlink("z"))).toBe("ENOENT");
    expect(await codeOf(catalog.rmdir("a"))).toBe("ENOTDIR");
    expect(await codeOf(catalog.rmdir("z"))).toBe("ENOENT");
    expect(await codeOf(catalog.rmdir("d"))).toBe("ENOTEMPTY");
    const { inode } = await catalog.stat("a");
    expect(await codeOf(catalog.unlink("a", { parent: inode }))).toBe("ENOTDIR");
  });

  it("is that of the directory where one hides a file, which shows then", async () => {
    await catalog.put("d/a");
    await catalog.put("d/a/x");
    expect(await codeOf(catalog.unlink("d/a"))).toBe("EISDIR");
    await catalog.unlink("d/a/x");
    await catalog.rmdir("d/a");
    expect((await catalog.stat("d/a")).kind).toBe("file");
    await catalog.unlink("d/a");
    expect(await catalog.names("d")).toEqual([]);
    await catalog.noFaults();
  });

  it("may be longer with its path than any key at a site", async () => {
    let path = "d";
    await catalog.mkdir(path);
    for (let level = 0; level < 10; level++) {
      path += `/${"x".repeat(250)}`;
      await catalog.mkdir(path);
    }
    await catalog.mknod(`${path}/a`);
    await catalog.rename(`${path}/a`, `${path}/b`);
    await catalog.unlink(`${path}/b`);
    await catalog.rename(path, "d/y");
    await catalog.rmdir("d/y");
    await catalog.noFaults();
  });
});

describe("what is open while its last name goes", () => {
  it("stays for the sessions that have it, with its content, until the last lets go", async () => {
    const { file } = await catalog.put("d/a");
    const { inode } = file;
    catalog.now = LATER;
    expect((await catalog.unlink("d/a", { heldBy: [ONE, OTHER] })).orphans).toEqual([]);
    const { parent: _, ...unnamed } = file;
    expect(await catalog.view((tx) => posix.getattr(tx, inode))).toMatchObject({ linkCount: 0, changed: LATER });
    expect(await catalog.readInode(inode)).toEqual({ ...unnamed, linkCount: 0, changed: LATER });
    expect(await catalog.isOwned("d/a")).toBe(true);
    await catalog.noFaults();
    expect(await catalog.release(ONE, inode)).toEqual([]);
    expect(await catalog.release(ONE, inode)).toEqual([]);
    expect([await isThere(inode), await rows()]).toEqual(["none", 2]);
    expect(await catalog.release(OTHER, inode)).toMatchObject([{ key: "d/a" }]);
    expect([await isThere(inode), await rows(), await catalog.isOwned("d/a")]).toEqual(["ENOENT", 0, false]);
    await catalog.noFaults();
  });

  it("is to be published nowhere any more, and its name is free", async () => {
    const copy = { site: "local" as never, key: "objects/1", home: "a", state: "present" as const, changedMs: 1 };
    await catalog.put("a", {
      version: { ...(await catalog.put("x")).file.version, id: id("1"), copies: [copy] } as never,
    });
    expect(await catalog.isOwned("a")).toBe(true);
    const { file, orphans } = await catalog.unlink("a", { heldBy: [ONE] });
    expect(orphans).toMatchObject([{ key: "a" }]);
    expect([await catalog.isOwned("a"), await catalog.isOwned("objects/1")]).toEqual([false, true]);
    expect((await catalog.readInode(file.inode))?.version?.copies).toEqual([
      { site: "local", key: "objects/1", state: "present", changedMs: 1 },
    ]);
    await catalog.put("a");
    await catalog.noFaults();
    expect(await catalog.release(ONE, file.inode)).toMatchObject([{ key: "objects/1" }]);
  });

  it("stays where another name leads to it, without a row", async () => {
    await catalog.mknod("a");
    await catalog.link("a", "b");
    await catalog.unlink("a", { heldBy: [ONE] });
    expect(await rows()).toBe(0);
  });

  it("can be changed and get other content, but no name", async () => {
    const { file } = await catalog.putApart("a", { id: id("1") });
    const { inode } = file;
    await catalog.unlink("a", { heldBy: [ONE] });
    const changed = await catalog.run((tx) => posix.setattr(tx, { inode, mode: 0o600, now: LATER }));
    expect(changed).toMatchObject({ mode: 0o600, linkCount: 0 });
    const told = await catalog.told(async () => {
      const committed = await catalog.commit(inode, { id: id("2"), expect: id("1"), modified: { ms: 1, ns: 2 } });
      expect(committed).toMatchObject({
        file: { linkCount: 0, modified: { ms: 1, ns: 2 }, version: { id: "2" } },
        previous: { id: "1" },
      });
      expect(committed.orphans).toMatchObject([{ key: "objects/1" }]);
    });
    expect(told).toEqual([]);
    expect(await codeOf(catalog.commit(inode, { id: id("3"), expect: id("1") }))).toBe("EAGAIN");
    expect(
      await codeOf(catalog.run((tx) => posix.link(tx, { inode, parent: 1 as Inode, name: "b", now: LATER }))),
    ).toBe("ENOENT");
    await catalog.noFaults();
    expect(await catalog.release(ONE, inode)).toMatchObject([{ key: "objects/2" }]);
    await catalog.noFaults();
  });

  it("is a directory in which nothing can be made", async () => {
    const { inode } = await catalog.mkdir("d");
    await catalog.rmdir("d", { heldBy: [ONE] });
    expect(await catalog.view((tx) => posix.getattr(tx, inode))).toMatchObject({ kind: "directory", linkCount: 0 });
    expect(await catalog.view((tx) => posix.readdir(tx, { inode, limit: 9 }))).toEqual({ entries: [], isLast: true });
    expect(await codeOf(catalog.view((tx) => posix.lookup(tx, { parent: inode, name: "x" })))).toBe("ENOENT");
    expect(await codeOf(catalog.mknod("z", { parent: inode, name: "x" }))).toBe("ENOENT");
    await catalog.noFaults();
    expect(await catalog.release(ONE, inode)).toEqual([]);
    expect(await isThere(inode)).toBe("ENOENT");
  });

  it("is what a rename takes the place of, be it a file or a directory", async () => {
    for (const path of ["a", "b"]) await catalog.putApart(path);
    for (const path of ["d", "e"]) await catalog.mkdir(path);
    const [b, e] = [await catalog.inodeAt("b"), await catalog.inodeAt("e")];
    expect((await catalog.rename("a", "b", { heldBy: [ONE] })).orphans).toEqual([]);
    expect((await catalog.rename("d", "e", { heldBy: [ONE] })).orphans).toEqual([]);
    expect([await isThere(b), await isThere(e), await rows()]).toEqual(["none", "none", 4]);
    await catalog.noFaults();
    expect(await catalog.release(ONE, b)).toHaveLength(1);
    await catalog.release(ONE, e);
    expect([await isThere(b), await isThere(e), await rows()]).toEqual(["ENOENT", "ENOENT", 0]);
    await catalog.noFaults();
  });

  it("goes with the session, however much that is, once the session is not open any more", async () => {
    for (let index = 0; index < 50; index++) {
      await catalog.putApart(`a${index}`);
      await catalog.unlink(`a${index}`, { heldBy: index % 10 === 0 ? [ONE, OTHER] : [ONE] });
    }
    await catalog.mknod("b");
    await catalog.unlink("b", { heldBy: ["between" as SessionId] });
    const dead = async (): Promise<SessionId[]> => {
      const sessions: SessionId[] = [];
      for (let session: SessionId | undefined; ;) {
        const after = session;
        session = await catalog.view((tx) => posix.nextDeadSession(tx, after));
        if (session === undefined) return sessions;
        sessions.push(session);
      }
    };
    expect(await dead()).toEqual(["between", ONE, OTHER]);
    const lease = await catalog.kv.lease(60_000);
    await catalog.run(function* (tx): Program<void> {
      posix.openSession(tx, { session: ONE, lease: lease.id });
    });
    expect(await dead()).toEqual(["between", OTHER]);
    await lease.release();
    expect(await dead()).toEqual(["between", ONE, OTHER]);
    const releaseAll = async (session: SessionId): Promise<string[]> => {
      const freed: string[] = [];
      for (;;) {
        const request = { session, now: LATER, tombstoneVersionId: id("9") };
        const released = await catalog.run((tx) => posix.releaseNextOrphan(tx, request));
        if (released === undefined) return freed;
        freed.push(...released.orphans.map(({ key }) => key));
      }
    };
    expect(new Set(await releaseAll(ONE)).size).toBe(45);
    await catalog.noFaults();
    expect((await releaseAll(OTHER)).length).toBe(5);
    expect(await releaseAll(OTHER)).toEqual([]);
    expect(await dead()).toEqual(["between"]);
    await catalog.noFaults();
  });
});

describe("content that comes to an inode", () => {
  it("becomes the current version of its file, wherever that is by now", async () => {
    const { inode } = await catalog.mknod("a");
    await catalog.mkdir("d");
    await catalog.rename("a", "d/b");
    catalog.now = LATER;
    const told = await catalog.told(async () => {
      const modified = { ms: 5, ns: 6 };
      const first = await catalog.commit(inode, { id: id("1"), expect: "none", modified });
      expect(first).toMatchObject({
        orphans: [],
        file: { sizeBytes: 3, modified, changed: LATER, version: { id: "1" } },
      });
      expect(await catalog.stat("d/b")).toMatchObject({ sizeBytes: 3, modified, changed: LATER, created: NOW });
    });
    expect(told).toMatchObject([{ kind: "updated", path: "d/b", inode, versionId: "1" }]);
    const second = await catalog.commit(inode, { id: id("2"), expect: id("1") });
    expect(second).toMatchObject({ previous: { id: "1" }, orphans: [{ key: "objects/1" }] });
    expect(await catalog.stat("d/b")).toMatchObject({ modified: { ms: 1_000, ns: 0 } });
    await catalog.noFaults();
  });

  it("is refused when somebody else's came before", async () => {
    const { inode } = await catalog.mknod("a");
    await catalog.commit(inode, { id: id("1"), expect: "any" });
    expect(await codeOf(catalog.commit(inode, { id: id("2"), expect: "none" }))).toBe("ESTALE");
    expect(await codeOf(catalog.commit(inode, { id: id("2"), expect: id("0") }))).toBe("EAGAIN");
    expect((await catalog.file("a"))?.version?.id).toBe("1");
    await catalog.commit(inode, { id: id("2"), expect: "any" });
    expect((await catalog.file("a"))?.version?.id).toBe("2");
  });

  it("goes by the rules of the bucket, and never into an older version", async () => {
    await catalog.writeBucket("b");
    const { inode } = await catalog.mknod("b/a");
    await catalog.commit(inode, { id: id("1"), expect: "none" });
    const { kept } = await catalog.commit(inode, { id: id("2"), expect: id("1") });
    expect([await catalog.history("b/a"), kept?.version?.id]).toEqual([["1"], "1"]);
    expect(await codeOf(catalog.commit(kept?.inode as Inode, { id: id("3"), expect: "any" }))).toBe("ENOENT");
    await catalog.noFaults();
  });

  it("comes to files that are there, and to nothing else", async () => {
    await catalog.mkdir("d");
    await catalog.symlink("s", "x");
    const commit = async (inode: Inode): Promise<string> =>
      await codeOf(catalog.commit(inode, { id: id("1"), expect: "any" }));
    expect(await commit(await catalog.inodeAt("d"))).toBe("EISDIR");
    expect(await commit(await catalog.inodeAt("s"))).toBe("EINVAL");
    expect(await commit(999_000_000_000 as Inode)).toBe("ENOENT");
  });

  it("reaches a file that a directory hides", async () => {
    const { file } = await catalog.put("d/a");
    await catalog.put("d/a/x");
    await catalog.commit(file.inode, { id: id("2"), expect: "any" });
    expect((await catalog.file("d/a"))?.version?.id).toBe("2");
    await catalog.noFaults();
  });
});
