import { closeSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { FileRoom } from "./file-room.ts";

const PAGE = 4_096;
const MIB = 1024 ** 2;

function opened(path: string, flags: string): number {
  const descriptor = openSync(path, flags, 0o600);
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

/** Of a file whose pages up to `lastPage` are in use. */
async function room() {
  const directory = await mkdtemp(join(tmpdir(), "globalfs-room-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
  const descriptor = opened(join(directory, "data"), "w+");
  const used = { lastPage: 1 };
  const made = new FileRoom({ descriptor, pageBytes: PAGE, lastPage: () => used.lastPage });
  return { room: made, used, descriptor, size: () => fstatSync(descriptor).size };
}

/** Of a commit that takes at most so many pages: 32, six for each write, and twice what it writes. */
const SMALL = { writes: 1, sizeBytes: 100 };
const SMALL_PAGES = 32 + 6 + 1;

it("takes up a MiB for a first commit, and nothing more before that is used up", async () => {
  const { room: made, used, size } = await room();
  made.ensure(SMALL);
  expect(size()).toBe(MIB);
  for (let commit = 0; commit < 100; commit++) made.ensure(SMALL);
  expect(size()).toBe(MIB);
  // Just as many pages are left as the commit may take.
  used.lastPage = MIB / PAGE - 1 - SMALL_PAGES;
  for (let commit = 0; commit < 6; commit++) made.ensure(SMALL);
  expect(size()).toBe(MIB);
  used.lastPage += 1;
  made.ensure(SMALL);
  expect(size()).toBe(2 * MIB);
});

it("takes up an eighth of a large file, 8 MiB at most, and as much as a large commit needs", async () => {
  const { room: made, used, descriptor, size } = await room();
  const full = (sizeBytes: number): void => {
    ftruncateSync(descriptor, sizeBytes);
    used.lastPage = sizeBytes / PAGE - 1;
  };
  full(16 * MIB);
  made.ensure(SMALL);
  expect(size()).toBe(18 * MIB);
  full(80 * MIB);
  made.ensure({ writes: 100, sizeBytes: 0 });
  expect(size()).toBe(88 * MIB);
  full(MIB);
  made.ensure({ writes: 0, sizeBytes: 20 * MIB });
  expect(size()).toBe(41 * MIB + 32 * PAGE);
});

it("ends on a whole page, also where the file did not", async () => {
  const { room: made, used, descriptor, size } = await room();
  ftruncateSync(descriptor, 10 * PAGE - 1);
  used.lastPage = 9;
  made.ensure(SMALL);
  expect(size()).toBe(10 * PAGE + MIB);
});

it.skipIf(process.platform !== "linux")(
  "refuses a commit for which the disk has no room, and is no room for any other failure",
  async () => {
    const full = { descriptor: opened("/dev/full", "r+"), pageBytes: PAGE, lastPage: () => 0 };
    const made = new FileRoom(full);
    for (let commit = 0; commit < 2; commit++)
      expect(() => made.ensure(SMALL)).toThrow(expect.objectContaining({ code: "NoSpace" }));
    const closed = new FileRoom({ ...full, descriptor: opened("/dev/null", "r") });
    expect(() => closed.ensure(SMALL)).toThrow("EBADF");
  },
);
