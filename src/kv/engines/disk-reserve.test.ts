import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openDiskReserve, RESERVE_BYTES } from "./disk-reserve.ts";

async function place(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "globalfs-reserve-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
  return join(directory, "reserve");
}

it("takes up real room, gives it up in steps, and takes it up again", async () => {
  const file = await place();
  const reserve = await openDiskReserve(file);
  expect(reserve.isShort).toBe(false);
  const { blocks, mode, size } = await stat(file);
  expect([size, blocks * 512 >= RESERVE_BYTES, mode & 0o077]).toEqual([RESERVE_BYTES, true, 0]);
  let steps = 0;
  while (await reserve.release()) {
    steps += 1;
    expect((await stat(file)).size).toBeLessThan(RESERVE_BYTES);
    expect(reserve.isShort).toBe(true);
  }
  expect(steps).toBe(32);
  expect((await stat(file)).size).toBe(0);
  await reserve.restore();
  expect([reserve.isShort, (await stat(file)).size]).toEqual([false, RESERVE_BYTES]);
});

it("is left alone while it is whole, and found again by another start", async () => {
  const file = await place();
  const reserve = await openDiskReserve(file);
  await writeFile(file, Buffer.alloc(RESERVE_BYTES, "as it was"));
  await reserve.restore();
  await reserve.close();
  const again = await openDiskReserve(file);
  expect([again.isShort, (await readFile(file)).toString("latin1", 0, 9)]).toEqual([false, "as it was"]);
});

it("is found again, with what was given up", async () => {
  const file = await place();
  const before = await openDiskReserve(file);
  await before.release();
  await before.close();
  const again = await openDiskReserve(file);
  expect([again.isShort, (await stat(file)).size]).toEqual([false, RESERVE_BYTES]);
});

it("is none where it cannot be, and nothing fails for that", async () => {
  const reserve = await openDiskReserve(join(await place(), "no", "directory"));
  expect([reserve.isShort, await reserve.release()]).toEqual([true, false]);
  await reserve.restore();
  await reserve.close();
});
