import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, ROOT_INODE, type SessionId, type VersionId } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { adoptForeign } from "../adopt.ts";
import type { Quota, QuotaLimits } from "../quota-rows.ts";
import { nextTestId, testVersion } from "../testing/model.ts";
import { tellUsage, usageBelow } from "../usage.ts";
import type { Usage } from "../usage-rows.ts";
import * as posix from "./index.ts";
import { codeOf, PosixCatalog } from "./testing/posix-catalog.ts";

let catalog: PosixCatalog;
beforeEach(async () => {
  catalog = await PosixCatalog.open();
});
const id = (text: string): VersionId => text as VersionId;

async function used(path: string): Promise<Usage> {
  const inode = await catalog.inodeAt(path);
  const usage = await catalog.view((tx) => usageBelow(tx, inode));
  await catalog.noFaults();
  return usage;
}

async function limit(path: string, limits: QuotaLimits): Promise<Quota> {
  const inode = await catalog.inodeAt(path);
  return await catalog.run((tx) => posix.setQuota(tx, inode, limits));
}

async function put(path: string, sizeBytes: number): Promise<void> {
  const versionId = nextTestId();
  const version = testVersion(path, { id: versionId, key: `objects/${versionId}`, sizeBytes });
  await catalog.put(path, { version });
}

const below = (sizeBytes: number, inodes: number, olderBytes = 0): Usage => ({ sizeBytes, inodes, olderBytes });

describe("what lies below a directory", () => {
  it("is known without a walk, for each of those above it", async () => {
    await put("d/e/a", 10);
    await put("d/e/b", 5);
    await catalog.mkdir("d/f");
    await catalog.symlink("d/f/s", "target");
    expect([await used("d/e"), await used("d/f"), await used("d"), await used("")]).toEqual([
      below(15, 2),
      below(0, 1),
      below(15, 5),
      below(15, 6),
    ]);
    await put("d/e/a", 1);
    await catalog.remove("d/e/b");
    expect([await used("d/e"), await used("")]).toEqual([below(1, 1), below(1, 5)]);
  });

  it("is told upwards behind, without which it is as exact", async () => {
    for (const path of ["d/e/f/a", "d/e/b", "d/c"]) await put(path, 10);
    const before = [await used("d"), await used("")];
    const waiting = async (): Promise<number> => await catalog.rowsBelow(Buffer.from("uw\0"));
    expect(await waiting()).toBe(3);
    let turns = 0;
    while (await catalog.run(tellUsage)) turns += 1;
    expect([turns, await waiting()]).toEqual([0, 0]);
    expect([await used("d"), await used("")]).toEqual(before);
    for (let index = 0; index < 80; index++) await put(`many/${index}/a`, 1);
    while (await catalog.run(tellUsage)) turns += 1;
    expect([turns, await waiting(), await used("many")]).toEqual([1, 0, below(80, 160)]);
  });

  it("goes along with a directory that is renamed, told or not", async () => {
    await put("d/e/a", 10);
    await catalog.run(tellUsage);
    await put("d/e/b", 5);
    await catalog.mkdir("x");
    await catalog.rename("d/e", "x/e");
    expect([await used("d"), await used("x"), await used("")]).toEqual([below(0, 0), below(15, 3), below(15, 5)]);
    await catalog.run(tellUsage);
    expect([await used("d"), await used("x"), await used("")]).toEqual([below(0, 0), below(15, 3), below(15, 5)]);
  });

  it("has a file with several names once, where the name is that it has had longest", async () => {
    for (const path of ["d", "e"]) await catalog.mkdir(path);
    await put("d/a", 10);
    await catalog.link("d/a", "e/a");
    await catalog.link("d/a", "d/b");
    expect([await used("d"), await used("e")]).toEqual([below(10, 1), below(0, 0)]);
    await catalog.commit(await catalog.inodeAt("e/a"), { id: id("01X"), expect: "any" });
    expect([await used("d"), await used("e")]).toEqual([below(3, 1), below(0, 0)]);
    await catalog.unlink("d/a");
    expect([await used("d"), await used("e")]).toEqual([below(3, 1), below(0, 0)]);
    await catalog.unlink("d/b");
    expect([await used("d"), await used("e"), await used("")]).toEqual([below(0, 0), below(3, 1), below(3, 3)]);
    await catalog.link("e/a", "d/a");
    await put("d/a", 7);
    expect([await used("d"), await used("e"), await used("")]).toEqual([below(7, 1), below(3, 1), below(10, 4)]);
  });

  it("has no file that is open and has no name any more", async () => {
    await put("a", 10);
    const inode = await catalog.inodeAt("a");
    const session = "one" as SessionId;
    await catalog.unlink("a", { heldBy: [session] });
    await catalog.commit(inode, { id: id("01X"), expect: "any" });
    expect(await used("")).toEqual(below(0, 0));
    await catalog.release(session, inode);
    expect(await used("")).toEqual(below(0, 0));
  });

  it("tells older versions apart, also of what is gone", async () => {
    await catalog.writeBucket("b");
    await put("b/d/a", 10);
    await put("b/d/a", 3);
    expect(await used("b")).toEqual(below(3, 2, 10));
    await catalog.deleteKey("b/d/a");
    expect(await used("b")).toEqual(below(0, 0, 13));
    const [older] = (await catalog.history("b/d/a")).slice(1) as [string];
    await catalog.removeVersion("b/d/a", older);
    expect(await used("b")).toEqual(below(0, 0, 10));
    await put("b/d/a", 1);
    expect([await used("b/d"), await used("b")]).toEqual([below(1, 1, 10), below(1, 2, 10)]);
  });

  it("has what another tool wrote from when it is found", async () => {
    const object = { key: "d/a", sizeBytes: 7, etag: "e", modifiedMs: 1, metadata: {} };
    const request = { site: "local" as never, objects: [object], nowMs: 1, nextInode: catalog.nextInode };
    await catalog.run((tx) => adoptForeign(tx, { ...request, nextVersionId: nextTestId }));
    expect(await used("d")).toEqual(below(7, 1));
  });
});

describe("a quota", () => {
  it("counts what is there already, and goes on to", async () => {
    await put("d/e/a", 10);
    expect((await limit("d", { maxBytes: 100 })).used).toEqual(below(10, 2));
    await put("d/e/b", 5);
    expect((await limit("d", { maxInodes: 3 })).used).toEqual(below(15, 3));
    const inode = await catalog.inodeAt("d/e");
    expect(await catalog.view((tx) => posix.statfs(tx, inode))).toEqual({ maxInodes: 3, used: below(15, 3) });
    expect(await catalog.run((tx) => posix.clearQuota(tx, inode))).toBe(false);
    expect(await catalog.view((tx) => posix.statfs(tx, ROOT_INODE))).toEqual({ used: below(15, 4) });
    await catalog.noFaults();
  });

  it.each<[string, () => Promise<unknown>]>([
    ["a file", async () => await catalog.mknod("q/x")],
    ["a directory", async () => await catalog.mkdir("q/x")],
    ["a directory by key", async () => await catalog.makeDirectory("q/x")],
    ["a link", async () => await catalog.symlink("q/x", "y")],
    ["an object", async () => await put("q/x", 0)],
    ["an object in a directory that is made for it", async () => await put("q/n/x", 0)],
    ["a file by a rename", async () => await catalog.rename("a", "q/x")],
    ["a file by a rename of its key", async () => await catalog.move("a", "q/x")],
    ["a directory by a rename", async () => await catalog.rename("d", "q/x")],
    ["a directory for a file", async () => await catalog.exchange("d", "q/full")],
  ])("of inodes refuses %s", async (_what, work) => {
    await put("a", 1);
    await put("d/a", 1);
    await put("q/full", 1);
    await limit("q", { maxInodes: 1 });
    expect(await codeOf(work())).toBe("EDQUOT");
    expect(await used("q")).toEqual(below(1, 1));
    await limit("q", { maxInodes: 3 });
    await work();
    await catalog.noFaults();
  });

  it("of bytes refuses what makes it more, wherever that comes from, and lets through what makes it less", async () => {
    await put("q/e/a", 10);
    await put("b", 7);
    await limit("q", { maxBytes: 12 });
    expect(await codeOf(put("q/e/b", 3))).toBe("EDQUOT");
    expect(await codeOf(put("q/e/a", 13))).toBe("EDQUOT");
    expect(await codeOf(catalog.rename("b", "q/b"))).toBe("EDQUOT");
    await put("q/e/a", 12);
    await catalog.mkdir("q/f");
    await limit("q", { maxBytes: 1 });
    // What is there may be moved about and taken away, and become smaller.
    await catalog.rename("q/e", "q/f/e");
    await catalog.rename("q/f/e/a", "q/a");
    await put("q/a", 5);
    expect(await codeOf(put("q/a", 6))).toBe("EDQUOT");
    await catalog.unlink("q/a");
    expect(await used("q")).toEqual(below(0, 2));
  });

  it("has older versions, and refuses no delete for them", async () => {
    await catalog.writeBucket("b");
    await put("b/a", 10);
    await limit("b", { maxBytes: 15 });
    expect(await codeOf(put("b/a", 6))).toBe("EDQUOT");
    await put("b/a", 5);
    await limit("b", { maxBytes: 1 });
    await catalog.deleteKey("b/a");
    expect(await used("b")).toEqual(below(0, 0, 15));
    expect(await codeOf(put("b/a", 1))).toBe("EDQUOT");
  });

  it("within another holds by itself, and goes with its directory", async () => {
    await catalog.mkdir("q");
    await catalog.mkdir("q/r");
    await limit("q", { maxInodes: 3 });
    await limit("q/r", { maxInodes: 1 });
    await catalog.mknod("q/r/a");
    expect(await codeOf(catalog.mknod("q/r/b"))).toBe("EDQUOT");
    await catalog.mknod("q/b");
    expect(await codeOf(catalog.mknod("q/c"))).toBe("EDQUOT");
    await catalog.rename("q/r", "r");
    await catalog.mknod("q/c");
    expect(await codeOf(catalog.mknod("r/b"))).toBe("EDQUOT");
    await catalog.unlink("r/a");
    await catalog.rmdir("r");
    const quotas = async (): Promise<number> => await catalog.rowsBelow(Buffer.from("uq\0"));
    expect(await quotas()).toBe(1);
    const inode: Inode = await catalog.inodeAt("q");
    expect(await catalog.run((tx) => posix.clearQuota(tx, inode))).toBe(true);
    expect(await quotas()).toBe(0);
    await catalog.mknod("q/d");
    await catalog.noFaults();
  });

  it("is of a directory that is there", async () => {
    const { inode } = await catalog.mknod("a");
    const set = (directory: Inode) => catalog.run((tx): Program<Quota> => posix.setQuota(tx, directory, {}));
    expect(await codeOf(set(inode))).toBe("ENOTDIR");
    expect(await codeOf(set(77 as Inode))).toBe("ENOENT");
  });

  it("does not keep out what another tool wrote", async () => {
    await catalog.mkdir("q");
    await limit("q", { maxBytes: 0, maxInodes: 0 });
    const object = { key: "q/d/a", sizeBytes: 7, etag: "e", modifiedMs: 1, metadata: {} };
    const request = { site: "local" as never, objects: [object], nowMs: 1, nextInode: catalog.nextInode };
    await catalog.run((tx) => adoptForeign(tx, { ...request, nextVersionId: nextTestId }));
    expect(await used("q")).toEqual(below(7, 2));
    await catalog.put("q/d/b", { found: true });
    expect(await used("q")).toEqual(below(10, 3));
    expect(await codeOf(put("q/d/b", 4))).toBe("EDQUOT");
  });
});
