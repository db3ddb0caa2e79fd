import { afterEach, expect, it } from "vitest";
import { type FilePath, type Inode, ROOT_INODE, type SessionId, type VersionId } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import type { GfsError } from "../../core/errors.ts";
import { createMemoryKv, type Program } from "../../kv/index.ts";
import type { Store } from "../../stores/index.ts";
import { checkCatalog, initialize, posix, removeFile } from "../../namespace/index.ts";
import { type Rig, rigCtx, startRig } from "../testing/rig.ts";

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

it("what a session had open without a name goes when the session is gone, at its sites, too", async () => {
  rig = await startRig();
  const { kv, stores } = rig;
  const session = "mount" as SessionId;
  const lease = await kv.lease(60_000);
  await kv.transact(function* (tx): Program<void> {
    posix.openSession(tx, { session, lease: lease.id });
  });
  for (const name of ["a", "b"]) {
    await rig.put(name, name);
    const request = { parent: ROOT_INODE, name, now: momentOf(2), tombstoneVersionId: "01TEST" as VersionId };
    await kv.transact((tx) => posix.unlink(tx, { ...request, heldBy: [session] }));
  }
  const lies = async (name: string): Promise<string> =>
    await (stores["local"] as Store).head(rigCtx, name).then(
      () => "lies",
      (error: GfsError) => error.code,
    );
  expect(await kv.view((tx) => posix.nextDeadSession(tx))).toBeUndefined();
  expect(await lies("a")).toBe("lies");
  await lease.release();
  expect(await kv.view((tx) => posix.nextDeadSession(tx))).toBe(session);
  // Whoever leads next finds it.
  await rig.stop();
  rig = await startRig({ kv, sites: [{ name: "local", role: "primary", store: stores["local"] as Store }] });
  for (const name of ["a", "b"]) await expect.poll(async () => await lies(name), { timeout: 10_000 }).toBe("NotFound");
  expect(await kv.view((tx) => posix.nextDeadSession(tx))).toBeUndefined();
  expect((await checkCatalog(kv)).faults).toEqual([]);
});
