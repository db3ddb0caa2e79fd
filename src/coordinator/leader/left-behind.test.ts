import { afterEach, expect, it } from "vitest";
import { type FilePath, type Inode, ROOT_INODE, type VersionId } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import { createMemoryKv } from "../../kv/index.ts";
import { checkCatalog, initialize, posix, removeFile } from "../../namespace/index.ts";
import { type Rig, startRig } from "../testing/rig.ts";

let rig: Rig | undefined;
afterEach(async () => await rig?.stop());

it("extended attributes that did not go with their file go later", async () => {
  const kv = createMemoryKv();
  const now = momentOf(1);
  const child = { parent: ROOT_INODE, name: "a" };
  await kv.transact((tx) => initialize(tx, 1));
  const maker = { uid: 0, gid: 0, now, nextInode: () => 100 as Inode };
  const { inode } = await kv.transact((tx) => posix.mknod(tx, { ...child, ...maker, kind: "file", mode: 0o644 }));
  for (let index = 0; index < 200; index++) {
    const request = { inode, name: `user.${index}`, value: Buffer.from("x"), now };
    await kv.transact((tx) => posix.setxattr(tx, request));
  }
  const entries = async (): Promise<number> => (await kv.stats()).entries;
  const tombstoneVersionId = "01TEST" as VersionId;
  const deletion = { path: "a" as FilePath, expect: { kind: "any" as const }, nowMs: 2, tombstoneVersionId };
  await kv.transact((tx) => removeFile(tx, deletion));
  expect(await entries()).toBeGreaterThan(200);
  rig = await startRig({ kv });
  await expect.poll(entries, { timeout: 10_000 }).toBeLessThan(50);
  expect((await checkCatalog(kv)).faults).toEqual([]);
});
