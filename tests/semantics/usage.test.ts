import { expect, test } from "vitest";
import { isGfsError } from "../../src/core/errors.ts";
import { type FilePath, type Inode, ROOT_INODE } from "../../src/core/ids.ts";
import { checkCatalog, findDirectory, posix, tellUsage, type Usage, usageBelow } from "../../src/namespace/index.ts";
import { rigCtx } from "../../src/coordinator/testing/rig.ts";
import { type Setting, start } from "./setting.ts";

const ONE = { local: "primary" } as const;

async function directoryAt({ kv }: Setting<"local">, path: string): Promise<Inode> {
  const found = await kv.view((tx) => findDirectory(tx, path as FilePath));
  return found?.inode as Inode;
}

async function used(setting: Setting<"local">, path: string): Promise<Usage> {
  const inode = path === "" ? ROOT_INODE : await directoryAt(setting, path);
  return await setting.kv.view((tx) => usageBelow(tx, inode));
}

test("T13 A directory knows at every moment what lies below it, whoever changes that", async () => {
  const setting = await start(ONE);
  const { kv, put, coordinator } = setting;
  await put("d/e/a", "12345");
  await put("d/e/b", "123");
  await put("d/c", "1");
  expect(await used(setting, "d")).toEqual({ sizeBytes: 9, inodes: 4, olderBytes: 0 });
  await kv.transact(tellUsage);
  await put("d/e/a", "1");
  await coordinator.rename(rigCtx, { from: "d/e/", to: "x/e/" });
  expect([await used(setting, "d"), await used(setting, "x"), await used(setting, "")]).toEqual([
    { sizeBytes: 1, inodes: 1, olderBytes: 0 },
    { sizeBytes: 4, inodes: 3, olderBytes: 0 },
    { sizeBytes: 5, inodes: 6, olderBytes: 0 },
  ]);
  await coordinator.deleteObject(rigCtx, "x/e/a");
  await coordinator.deleteObject(rigCtx, "x/e/b");
  expect(await used(setting, "")).toEqual({ sizeBytes: 1, inodes: 2, olderBytes: 0 });
  expect((await checkCatalog(kv)).faults).toEqual([]);
});

test("T14 What would exceed a quota is refused as a whole, and what makes less goes through", async () => {
  const setting = await start(ONE);
  const { kv, put, read, coordinator, sites } = setting;
  await put("q/a", "12345");
  const inode = await directoryAt(setting, "q");
  await kv.transact((tx) => posix.setQuota(tx, inode, { maxBytes: 8, maxInodes: 3 }));
  const code = async (work: Promise<unknown>): Promise<string> =>
    await work.then(
      () => "none",
      (error: unknown) => (isGfsError(error) ? error.code : String(error)),
    );
  const objects = async (): Promise<string[]> => {
    const page = await sites.local.list(rigCtx, { prefix: "", limit: 100 });
    return page.objects.map(({ key }) => key).filter((key) => !key.startsWith(".globalfs/"));
  };
  expect(await code(put("q/b", "1234"))).toBe("QuotaExceeded");
  expect(await code(put("q/a", "123456789"))).toBe("QuotaExceeded");
  expect([await read("q/a"), await objects()]).toEqual(["12345", ["q/a"]]);
  await put("q/d/b", "123");
  expect(await code(put("q/c", ""))).toBe("QuotaExceeded");
  await put("elsewhere", "1");
  expect(await code(coordinator.rename(rigCtx, { from: "elsewhere", to: "q/e" }))).toBe("QuotaExceeded");
  await put("q/a", "1");
  await coordinator.deleteObject(rigCtx, "q/d/b");
  await put("q/c", "1234");
  expect(await used(setting, "q")).toEqual({ sizeBytes: 5, inodes: 2, olderBytes: 0 });
  expect((await checkCatalog(kv)).faults).toEqual([]);
});
