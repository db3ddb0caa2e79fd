import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { serveInProcess } from "./testing/served.ts";

test("many downloads at a time say nothing of listeners", async () => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning.message);
  process.on("warning", onWarning);
  const directory = await mkdtemp(join(tmpdir(), "globalfs-many-"));
  const served = await serveInProcess();
  try {
    const body = Buffer.alloc(1024 ** 2, "x");
    for (let index = 0; index < 24; index++) await served.rig.put(`many/${index}`, body);
    const { exit, err } = await served.run(["cp", "-r", "gfs:many", join(directory, "out")]);
    expect([exit, err]).toEqual([0, expect.not.stringContaining("Warning")]);
    expect((await readdir(directory, { recursive: true })).filter((name) => /\d$/.test(name))).toHaveLength(24);
    expect(warnings).toEqual([]);
  } finally {
    process.off("warning", onWarning);
    await served.stop();
    await rm(directory, { recursive: true });
  }
});
