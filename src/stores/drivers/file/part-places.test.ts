import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import type { Disk } from "../../../core/ports/disk.ts";
import { createNodeDisk } from "./disk/node-disk.ts";
import { PartPlaces } from "./part-places.ts";
import { UploadDirectory } from "./upload-directory.ts";

let directory: UploadDirectory;
/** What the disk says of its directories next. */
let failure: Error | undefined;

beforeEach(async () => {
  const path = await mkdtemp(join(tmpdir(), "globalfs-places-"));
  onTestFinished(async () => await rm(path, { recursive: true, force: true }));
  const inner = createNodeDisk({ opensAtOnce: false });
  const disk: Disk = {
    ...inner,
    async readDirectory(at) {
      const said = failure;
      failure = undefined;
      if (said !== undefined) throw said;
      return await inner.readDirectory(at);
    },
  };
  directory = new UploadDirectory(path, disk, new KeyedLock());
});

const ofItsOwn = { file: expect.stringMatching(/^piece-/) as string };

describe("places of the parts of an upload", () => {
  it("are those that they have in the object, by the size of the first that comes", async () => {
    const places = new PartPlaces(undefined);
    expect(await places.choose(directory, 3, 10)).toEqual({ start: 20, strideBytes: 10 });
    expect(await places.choose(directory, 1, 10)).toEqual({ start: 0, strideBytes: 10 });
    expect(await places.choose(directory, 4, 9)).toEqual({ start: 30, strideBytes: 10 });
    expect(places.writersInData).toBe(3);
    // It is no smaller, and has a file of its own.
    expect(await places.choose(directory, 2, 11)).toEqual(ofItsOwn);
    for (const part of [1, 3, 4]) places.release(part);
    expect(places.writersInData).toBe(0);
  });

  it("are by the size that the upload was begun with, or that parts have that were there before", async () => {
    expect(await new PartPlaces(7).choose(directory, 2, 5)).toEqual({ start: 7, strideBytes: 7 });
    const info = { sizeBytes: 8, etag: "e" };
    await directory.mark({ ...info, partNumber: 1, place: { file: "piece-0" } });
    await directory.mark({ ...info, partNumber: 2, place: { start: 8, strideBytes: 8 } });
    expect(await new PartPlaces(undefined).choose(directory, 3, 5)).toEqual({ start: 16, strideBytes: 8 });
  });

  it("are files of their own for parts that are written now, that lie in their place already, and that are far too many", async () => {
    const places = new PartPlaces(10);
    await places.choose(directory, 1, 10);
    expect(await places.choose(directory, 1, 10)).toEqual(ofItsOwn);
    await directory.mark({ partNumber: 2, sizeBytes: 10, etag: "e", place: { start: 10, strideBytes: 10 } });
    expect(await places.choose(directory, 2, 10)).toEqual(ofItsOwn);
    await directory.mark({ partNumber: 3, sizeBytes: 10, etag: "e", place: { file: "piece-0" } });
    expect(await places.choose(directory, 3, 10)).toEqual({ start: 20, strideBytes: 10 });
    const wide = new PartPlaces(2 ** 41);
    expect(await wide.choose(directory, 5, 1)).toEqual(ofItsOwn);
    expect(await wide.choose(directory, 5, 0)).toMatchObject({ start: 2 ** 43 });
    expect(await new PartPlaces(undefined).choose(await emptied(), 1, 0)).toEqual(ofItsOwn);
  });

  it("are asked for again when the disk could not tell which parts there are", async () => {
    const places = new PartPlaces(undefined);
    failure = Object.assign(new Error("Too many open files."), { code: "EMFILE" });
    await expect(places.choose(directory, 1, 10)).rejects.toMatchObject({ code: "EMFILE" });
    expect(await places.choose(directory, 1, 10)).toEqual({ start: 0, strideBytes: 10 });
  });
});

async function emptied(): Promise<UploadDirectory> {
  for (const { partNumber } of await directory.marks()) await directory.drop(`part-${partNumber}`);
  return directory;
}
