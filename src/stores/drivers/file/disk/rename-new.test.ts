import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createNodeDisk } from "./node-disk.ts";
import { renameByLinking, renameNew } from "./rename-new.ts";

async function place(): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-new-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
  await writeFile(path.join(directory, "from"), "mine");
  await writeFile(path.join(directory, "file"), "theirs");
  await mkdir(path.join(directory, "directory"));
  await symlink("nowhere", path.join(directory, "link"));
  return directory;
}

const WAYS = { "the kernel's call": renameNew, "a second name": renameByLinking };

it.each(Object.entries(WAYS))("a name that somebody has is left to them, by %s", async (_way, rename) => {
  const directory = await place();
  const from = path.join(directory, "from");
  for (const taken of ["file", "directory", "link"])
    await expect(rename(from, path.join(directory, taken))).rejects.toMatchObject({ code: "EEXIST" });
  expect(await readFile(path.join(directory, "file"), "utf8")).toBe("theirs");
  await expect(rename(from, path.join(directory, "none", "new"))).rejects.toMatchObject({ code: "ENOENT" });
  await expect(rename(path.join(directory, "none"), path.join(directory, "new"))).rejects.toMatchObject({
    code: "ENOENT",
  });
  await rename(from, path.join(directory, "new"));
  expect(await readFile(path.join(directory, "new"), "utf8")).toBe("mine");
  expect((await readdir(directory)).toSorted()).toEqual(["directory", "file", "link", "new"]);
});

it("of many that want the same name one gets it, and the others hear of it", async () => {
  const directory = await place();
  const names = Array.from({ length: 300 }, (_, index) => path.join(directory, `from-${index}`));
  await Promise.all(names.map(async (name) => await writeFile(name, name)));
  const outcomes = await Promise.allSettled(
    names.map(async (name) => await renameNew(name, path.join(directory, "new"))),
  );
  const winners = names.filter((_, index) => outcomes[index]?.status === "fulfilled");
  expect(winners).toEqual([await readFile(path.join(directory, "new"), "utf8")]);
  const refusals = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  expect(refusals).toHaveLength(names.length - 1);
  for (const refusal of refusals) expect(refusal).toMatchObject({ code: "EEXIST" });
});

it.each([true, false])(
  "a directory that is held is the same whatever gets its name (at once: %s)",
  async (opensAtOnce) => {
    const directory = await place();
    const disk = createNodeDisk({ opensAtOnce });
    await disk.stat(directory);
    const held = await disk.hold(path.join(directory, "directory"));
    await disk.rename(path.join(directory, "directory"), path.join(directory, "moved"));
    await symlink("/etc", path.join(directory, "directory"));
    await disk.renameNew(path.join(directory, "from"), `${held.path}/new`);
    expect((await disk.stat(`${held.path}/new`)).kind).toBe("file");
    await held.sync();
    held.release();
    expect(await readdir(path.join(directory, "moved"))).toEqual(["new"]);
    await expect(disk.stat(`${held.path}/new`)).rejects.toMatchObject({ code: expect.stringMatching(/ELOOP|ENOTDIR/) });
    await expect(disk.hold(path.join(directory, "directory"))).rejects.toMatchObject({ code: "ELOOP" });
    await expect(disk.hold(path.join(directory, "file"))).rejects.toMatchObject({ code: "ENOTDIR" });
    await expect(disk.hold(path.join(directory, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  },
);
