import { expect, it, onTestFinished } from "vitest";
import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import { createMetrics } from "../../telemetry/index.ts";
import { chunksOf, rigCtx, startRig } from "../testing/rig.ts";

it("every operation on files is counted and timed, one that answers at once and a read when its last byte is out", async () => {
  const metrics = createMetrics({ processMetrics: false });
  const { coordinator, stop } = await startRig({
    sites: [{ name: "local", role: "primary", foreign: "ignore" }],
    overrides: { metrics },
  });
  onTestFinished(stop);
  const { files } = coordinator;
  const counted = async (operation: string): Promise<string[]> =>
    (await metrics.render()).body
      .split("\n")
      .filter((line) => line.startsWith("globalfs_file_operations_total{") && line.includes(`"${operation}"`))
      .map((line) => line.replace(/.*status="(\w+)"\} /, "$1 "));
  await files.mkdir(rigCtx, { parent: ROOT_INODE, name: "d", mode: 0o755, uid: 0, gid: 0 });
  await expect(files.mkdir(rigCtx, { parent: ROOT_INODE, name: "d", mode: 0o755, uid: 0, gid: 0 })).rejects.toThrow(
    "already",
  );
  expect(await counted("mkdir")).toEqual(["success 1", "refused 1"]);
  expect(files.getattr(rigCtx, ROOT_INODE)).not.toBeInstanceOf(Promise);
  expect(() => files.getattr(rigCtx, 999 as Inode)).toThrow("not there any more");
  expect(await counted("getattr")).toEqual(["success 1", "not_found 1"]);
  const made = await files.mknod(rigCtx, { parent: ROOT_INODE, name: "f", kind: "file", mode: 0o644, uid: 0, gid: 0 });
  const { inode } = made;
  const { versionId } = await files.commit(rigCtx, { inode, body: chunksOf(Buffer.from("12345")), expect: "any" });
  const opened = await files.read(rigCtx, { inode, versionId });
  const before = await counted("read");
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.stream) chunks.push(chunk);
  expect([before, Buffer.concat(chunks).toString(), await counted("read")]).toEqual([[], "12345", ["success 1"]]);
  await expect(files.read(rigCtx, { inode: 999 as Inode, versionId })).rejects.toThrow("open it again");
  expect(await counted("read")).toEqual(["success 1", "refused 1"]);
  const timed = (await metrics.render()).body.match(
    /globalfs_file_operation_duration_seconds_count\{operation="commit"\} (\d)/,
  );
  expect(timed?.[1]).toBe("1");
});
