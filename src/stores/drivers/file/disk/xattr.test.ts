import { mkdtemp, open, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { getXattr, lgetXattr, setXattr } from "./xattr.ts";

/** ext, XFS and Btrfs keep attributes of users; others may. */
const KEEPING = new Set([0xef53, 0x58465342, 0x9123683e]);
const { type } = await statfs(tmpdir());

test.skipIf(process.platform !== "linux" || !KEEPING.has(type))(
  "attributes of a file are kept, changed, and absent where there are none",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "globalfs-xattr-"));
    const path = join(directory, "file");
    await writeFile(path, "");
    const file = await open(path, "r+");
    try {
      expect(await getXattr(file.fd, "user.globalfs")).toBeUndefined();
      expect(await lgetXattr(path, "user.globalfs")).toBeUndefined();
      for (const value of ["one", "x".repeat(2_000)]) {
        await setXattr(file.fd, "user.globalfs", Buffer.from(value));
        expect(Buffer.from((await getXattr(file.fd, "user.globalfs")) ?? []).toString()).toBe(value);
        expect(Buffer.from((await lgetXattr(path, "user.globalfs")) ?? []).toString()).toBe(value);
      }
    } finally {
      await file.close();
      await rm(directory, { recursive: true });
    }
  },
);
