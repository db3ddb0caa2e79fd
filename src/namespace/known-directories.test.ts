import { beforeEach, describe, expect, it } from "vitest";
import type { Inode, VersionId } from "../core/ids.ts";
import { directoryOf, KnownDirectories, tellUsage } from "./index.ts";
import { placeInKnown } from "./known-directories.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import type { KnownDirectory } from "./types.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
});

/** Writes to the path; resolves with where its directory is. */
async function met(path: string): Promise<KnownDirectory> {
  const { file } = await catalog.put(path);
  return (await catalog.view((tx) => directoryOf(tx, file))) as KnownDirectory;
}

const placeOf = async (path: string, known: KnownDirectory) =>
  await catalog.view((tx) => placeInKnown(tx, at(path), known));
const inodeOf = async (path: string): Promise<Inode> => (await catalog.directory(path))?.inode as Inode;

describe("a directory that is known", () => {
  it("is where it was met, for names in it and for new ones", async () => {
    const known = await met("a/b/c/x");
    const parent = await inodeOf("a/b/c");
    expect(await placeOf("a/b/c/x", known)).toEqual({ parent, name: "x" });
    expect(await placeOf("a/b/c/new", known)).toEqual({ parent, name: "new" });
    const { file } = await catalog.put("a/b/c/new", { known });
    expect(await catalog.file("a/b/c/new")).toEqual(file);
  });

  it("is not relied on once it is gone and only its history stays, whatever that counts", async () => {
    await catalog.writeBucket("b");
    await catalog.put("b/d/y");
    const known = await met("b/d/e/x");
    const above = (await catalog.view((tx) =>
      directoryOf(tx, { parent: { inode: known.inode, name: "x" }, linkCount: 1 }),
    )) as KnownDirectory;
    const parent = { ...above, inode: await inodeOf("b/d") };
    await catalog.deleteKey("b/d/y");
    while (await catalog.run(tellUsage));
    await catalog.putApart("b/d/e/x");
    await catalog.move("b/d/e/x", "b/a");
    expect(await catalog.directory("b/d")).toBeUndefined();
    expect(await placeOf("b/d/new", parent)).toBeUndefined();
    await catalog.putApart("b/d/new", { known: parent });
    expect(await catalog.file("b/d/new")).toBeDefined();
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("is so while others are made and removed", async () => {
    const known = await met("a/b/c/x");
    await catalog.put("a/d/e/y");
    await catalog.remove("a/d/e/y");
    expect(await placeOf("a/b/c/new", known)).toEqual({ parent: await inodeOf("a/b/c"), name: "new" });
  });

  it("is not relied on once a directory above it has another name", async () => {
    const known = await met("a/b/c/x");
    await catalog.move("a/b", "a/z", { directory: true });
    expect(await placeOf("a/b/c/x", known)).toBeUndefined();
    await catalog.putApart("a/b/c/x", { known });
    expect(await inodeOf("a/b/c")).not.toBe(await inodeOf("a/z/c"));
    expect((await catalog.file("a/b/c/x"))?.inode).not.toBe((await catalog.file("a/z/c/x"))?.inode);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("is not relied on when it came back to its name, and another one has it since", async () => {
    const known = await met("a/b/x");
    await catalog.move("a/b", "a/z", { directory: true });
    await catalog.move("a/z", "a/b", { directory: true });
    await catalog.move("a/b", "a/y", { directory: true });
    await catalog.putApart("a/b/x", { known });
    expect((await catalog.file("a/b/x"))?.parent?.inode).not.toBe(known.inode);
  });

  it("is not relied on when it is gone, or empty", async () => {
    const known = await met("a/b/c/x");
    await catalog.remove("a/b/c/x");
    expect(await placeOf("a/b/c/x", known)).toBeUndefined();
    await catalog.put("a/b/c/y", { known });
    expect((await catalog.file("a/b/c/y"))?.parent?.inode).toBe(await inodeOf("a/b/c"));
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("is not relied on when only the history of what lay in it is left", async () => {
    await catalog.writeBucket("v");
    const known = await met("v/b/c/x");
    await catalog.deleteKey("v/b/c/x", { tombstoneVersionId: "9" as VersionId });
    expect(await inodeOf("v/b/c")).toBeUndefined();
    expect(await placeOf("v/b/c/y", known)).toBeUndefined();
    await catalog.put("v/b/c/y", { known });
    expect(await catalog.file("v/b/c/y")).toBeDefined();
    expect((await catalog.check()).faults).toEqual([]);
  });
});

describe("the directories that a process knows", () => {
  const inode = 7 as Inode;

  it("are found by what lies in them, as they were met last", () => {
    const directories = new KnownDirectories();
    expect(directories.of(at("a/b/x"))).toBeUndefined();
    directories.learn(at("a/b/x"), { inode, moves: 1 });
    directories.learn(at("a/b/y"), { inode, moves: 2 });
    directories.learn(at("a/b/y"), undefined);
    expect(directories.of(at("a/b/z"))).toEqual({ inode, moves: 2 });
    expect(directories.of(at("a/c/z"))).toBeUndefined();
  });

  it("are so many at most, and those met first go first", () => {
    const directories = new KnownDirectories();
    for (let index = 0; index <= 4_096; index++) directories.learn(at(`d-${index}/x`), { inode, moves: 1 });
    expect(directories.of(at("d-0/x"))).toBeUndefined();
    expect(directories.of(at("d-1/x"))).toBeDefined();
    expect(directories.of(at("d-4096/x"))).toBeDefined();
  });
});
