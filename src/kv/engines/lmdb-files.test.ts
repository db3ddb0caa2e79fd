import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { translateFailure } from "./lmdb-failures.ts";
import { closeToOthers, prepareDirectory, syncDirectory } from "./lmdb-files.ts";

let place: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), "globalfs-files-"));
  onTestFinished(async () => await rm(place, { recursive: true, force: true }));
});

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

it("a catalog's directory is made with those above it, for its user alone, and is no file", async () => {
  const directory = join(place, "above", "catalog");
  await prepareDirectory(directory);
  expect(await modeOf(directory)).toBe(0o700);
  await prepareDirectory(directory);
  const file = join(place, "file");
  await writeFile(file, "");
  for (const wrong of [file, join(file, "below")]) {
    await expect(prepareDirectory(wrong)).rejects.toMatchObject({
      code: "ConfigInvalid",
      message: expect.stringContaining(`The catalog cannot live at ${wrong}`) as string,
    });
  }
});

it("a catalog's file is closed to others when it is made, and when others could read, write or run it", async () => {
  const file = join(place, "data");
  await closeToOthers(file);
  expect(await modeOf(file)).toBe(0o600);
  for (const mode of [0o601, 0o620, 0o604, 0o777]) {
    await chmod(file, mode);
    await closeToOthers(file);
    expect(await modeOf(file)).toBe(0o600);
  }
  // What its user has set for itself stays.
  await chmod(file, 0o400);
  if (process.getuid?.() === 0) {
    await closeToOthers(file);
    expect(await modeOf(file)).toBe(0o400);
  }
});

it("a directory whose name cannot be made durable is told of, and one that was never there", async () => {
  await mkdir(join(place, "catalog"));
  await syncDirectory(join(place, "catalog"));
  await expect(syncDirectory(join(place, "none"))).rejects.toMatchObject({ code: "NotFound" });
});

it("a write that failed is for lack of room when the library or the disk says so, and else the catalog's failure", () => {
  const codeOf = (error: unknown): unknown => translateFailure(error, place).code;
  expect(codeOf(Object.assign(new Error("full"), { code: -30_792 }))).toBe("NoSpace");
  expect(codeOf(new Error("MDB_MAP_FULL: Environment mapsize limit reached"))).toBe("NoSpace");
  expect(codeOf(new Error("No space left on device"))).toBe("NoSpace");
  const failure = translateFailure(new Error("Input/output error"), place);
  expect([failure.code, failure.message]).toEqual([
    "Unavailable",
    "The catalog could not be written: Input/output error.",
  ]);
  const own = new GfsError("TooLarge", "One transaction stages at most 100 writes.");
  expect(translateFailure(own, place)).toBe(own);
});
