import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { lockDirectory } from "./directory-lock.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-lock-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
});

it("a directory is one holder's at a time, who is named to others, and free again afterwards", async () => {
  const unlock = await lockDirectory(directory);
  const file = join(directory, "lock");
  expect([await readFile(file, "utf8"), (await stat(file)).mode & 0o077]).toEqual([`${process.pid}\n`, 0]);
  for (let attempt = 0; attempt < 2; attempt++)
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      code: "ConfigInvalid",
      message: `Another coordinator (process ${process.pid}) uses ${directory}; stop it or choose another coordinator.data_dir.`,
    });
  await unlock();
  await (
    await lockDirectory(directory)
  )();
  expect(await readFile(file, "utf8")).toBe(`${process.pid}\n`);
});

it.skipIf(process.platform !== "linux")(
  "a directory is free although a program that was begun meanwhile still has the file open",
  async () => {
    const unlock = await lockDirectory(directory);
    const open = readdirSync("/proc/self/fd").find((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`) === join(directory, "lock");
      } catch {
        return false;
      }
    });
    const child = spawn(process.execPath, ["-e", "process.stdin.resume(); console.log('up')"], {
      stdio: ["pipe", "pipe", "inherit", Number(open)],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout as NodeJS.ReadableStream, "data");
    await unlock();
    await (
      await lockDirectory(directory)
    )();
  },
);
