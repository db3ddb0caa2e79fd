import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { FlushMarks, hasLost, restoreFlushed } from "./flush-marks.ts";

const PAGE = 4_096;
const HEAD = 512;
let file: string;

beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), "globalfs-marks-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
  file = join(directory, "data");
  // Two meta pages, of which the library uses the beginnings, and a page of rows.
  await writeFile(file, Buffer.alloc(3 * PAGE, "r"));
  await commit("a");
});

/** As the library does it: without a flush. */
async function commit(name: string): Promise<void> {
  await write(Buffer.alloc(HEAD, name), 0);
  await write(Buffer.alloc(HEAD, name.toUpperCase()), PAGE);
}

async function write(bytes: Uint8Array, at: number): Promise<void> {
  const handle = await open(file, "r+");
  await handle.write(bytes, 0, bytes.byteLength, at);
  await handle.close();
}

/** What the two meta pages begin with. */
async function heads(): Promise<string> {
  const bytes = await readFile(file);
  const head = (index: number): Buffer => bytes.subarray(index * PAGE, index * PAGE + HEAD);
  for (const each of [head(0), head(1)]) expect(new Set(each).size).toBe(1);
  expect(bytes.subarray(2 * PAGE).equals(Buffer.alloc(PAGE, "r"))).toBe(true);
  return head(0).toString("latin1", 0, 1) + head(1).toString("latin1", 0, 1);
}

async function marks(bootId: string | undefined): Promise<FlushMarks> {
  return await FlushMarks.open(file, { pageBytes: PAGE, bootId });
}

describe("the way back to what was flushed last", () => {
  it("is taken when the machine has started anew since, and at no other time", async () => {
    const made = await marks("boot");
    await made.flush(made.headsNow());
    await commit("b");
    expect([await hasLost(file, "boot"), await restoreFlushed(file, "boot"), await heads()]).toEqual([
      false,
      false,
      "bB",
    ]);
    expect([await hasLost(file, "another"), await restoreFlushed(file, "another"), await heads()]).toEqual([
      true,
      true,
      "aA",
    ]);
    await made.close();
  });

  it("is that of the newest flush", async () => {
    const made = await marks("boot");
    for (const name of ["b", "c", "d"]) {
      await commit(name);
      await made.flush(made.headsNow());
    }
    await commit("e");
    await restoreFlushed(file, "another");
    expect(await heads()).toBe("dD");
    // What was written after the heads were read is not what was made durable.
    const before = made.headsNow();
    await commit("f");
    await made.flush(before);
    await restoreFlushed(file, "another");
    expect(await heads()).toBe("dD");
    await made.close();
  });

  it.each([0, 40, 100, 600, 1_100, 1_140])(
    "is that of the flush before when the newest is torn at byte %i",
    async (at) => {
      const made = await marks("boot");
      await made.flush(made.headsNow());
      await commit("b");
      await made.flush(made.headsNow());
      // Marks are written in turns: the second one is in the first place.
      await write(Buffer.from([0xee]), 2_048 + at);
      await restoreFlushed(file, "another");
      expect(await heads()).toBe("aA");
      await made.close();
    },
  );

  it("is taken by the next start also of the same machine when a flush has failed, and no close undoes that", async () => {
    const made = await marks("boot");
    await made.flush(made.headsNow());
    await commit("b");
    const handle = await open(file, "r+");
    const failing = vi
      .spyOn(Object.getPrototypeOf(handle) as typeof handle, "datasync")
      .mockRejectedValue(new Error("EIO"));
    await expect(made.flush(made.headsNow()).finally(() => failing.mockRestore())).rejects.toThrow("EIO");
    await handle.close();
    await made.close();
    expect([await hasLost(file, "boot"), await restoreFlushed(file, "boot"), await heads()]).toEqual([
      true,
      true,
      "aA",
    ]);
  });

  it("is not needed after an engine was closed, whatever has started anew", async () => {
    const made = await marks("boot");
    await made.flush(made.headsNow());
    await commit("b");
    await made.flush(made.headsNow());
    await made.close();
    for (const bootId of ["boot", "another", undefined]) {
      expect([await hasLost(file, bootId), await restoreFlushed(file, bootId), await heads()]).toEqual([
        false,
        false,
        "bB",
      ]);
    }
  });

  it("is there again for an engine that opens the file once more, as the newest", async () => {
    const before = await marks("boot");
    for (const name of ["b", "c"]) {
      await commit(name);
      await before.flush(before.headsNow());
    }
    await before.close();
    const again = await marks("another");
    await commit("d");
    await again.flush(again.headsNow());
    await commit("e");
    expect([await hasLost(file, "another"), await hasLost(file, "third")]).toEqual([false, true]);
    await restoreFlushed(file, "third");
    expect(await heads()).toBe("dD");
    await again.close();
  });

  it("is taken whenever the system does not tell whether it has started anew", async () => {
    const made = await marks(undefined);
    await made.flush(made.headsNow());
    await commit("b");
    expect(await restoreFlushed(file, undefined)).toBe(true);
    expect(await restoreFlushed(file, "boot")).toBe(true);
    expect(await heads()).toBe("aA");
    await made.close();
  });

  it("is none where nothing was flushed yet, and in a file that has no room for it", async () => {
    expect([await hasLost(file, "boot"), await restoreFlushed(file, "boot"), await heads()]).toEqual([
      false,
      false,
      "aA",
    ]);
    const made = await marks("boot");
    await made.close();
    expect(await hasLost(file, "another")).toBe(false);
    await writeFile(file, "");
    expect([await hasLost(file, "boot"), await restoreFlushed(file, "boot")]).toEqual([false, false]);
  });
});
