import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Ran, runGlobalfs } from "./support/command.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { until } from "./support/until.ts";

let directory: string;
let daemon: ReadyDaemon | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-disk-"));
});
afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  await rm(directory, { recursive: true, force: true });
});

const EXTRA = { resilience: { health_poll_interval: "1s" } };

async function start(config: string): Promise<void> {
  daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
}

async function stop(): Promise<void> {
  await daemon?.stop();
  daemon = undefined;
}

async function run(words: readonly string[], input = ""): Promise<Ran> {
  return await runGlobalfs(words, { env: { GLOBALFS_COORDINATOR: daemon?.url ?? "" }, input });
}

async function put(key: string, text: string): Promise<number | null> {
  return (await run(["object", "put", key, "--input", "-"], text)).exit;
}

describe("a file site whose disk is not mounted at the start", () => {
  test.each(["no directory", "an empty directory"])(
    "is missed and not made anew, with %s in its place, and comes back by itself",
    async (which) => {
      const config = await writeConfiguration(
        directory,
        [fileSite("onprem", "primary"), fileSite("cloud", "backup")],
        EXTRA,
      );
      await start(config);
      expect(await put("kept", "acknowledged")).toBe(0);
      await until("the backup has it", async () => (await readdir(join(directory, "cloud"))).includes("kept"));
      expect((await run(["ls"])).out.trim().split("\n")).toHaveLength(1);
      await stop();

      const away = join(directory, "away");
      await rename(join(directory, "onprem"), away);
      if (which === "an empty directory") await mkdir(join(directory, "onprem"));
      await start(config);
      const status = await run(["status"]);
      expect(status.exit).not.toBe(0);
      expect(`${status.out}${status.err}`).toContain("onprem");
      expect((await run(["site", "list", "-l"])).out).toMatch(/mounted.*globalfs site adopt/);
      expect(await put("lost", "must not be acknowledged")).not.toBe(0);
      expect((await run(["rm", "kept"])).exit).not.toBe(0);
      expect(await readdir(directory)).not.toContain(which === "no directory" ? "onprem" : "onprem/.globalfs");
      if (which === "an empty directory") expect(await readdir(join(directory, "onprem"))).toEqual([]);

      await rm(join(directory, "onprem"), { recursive: true, force: true });
      await rename(away, join(directory, "onprem"));
      await until("the site is well", async () => (await run(["status"])).exit === 0);
      expect(await put("new", "taken again")).toBe(0);
      expect((await run(["cat", "new"])).out).toBe("taken again");
    },
  );

  test("is another disk for good once it is adopted", async () => {
    const config = await writeConfiguration(
      directory,
      [fileSite("onprem", "primary"), fileSite("cloud", "backup")],
      EXTRA,
    );
    await start(config);
    expect(await put("kept", "acknowledged")).toBe(0);
    await until("the backup has it", async () => (await readdir(join(directory, "cloud"))).includes("kept"));
    await stop();
    const old = join(directory, "old");
    await rename(join(directory, "onprem"), old);
    await start(config);
    expect((await run(["site", "adopt", "--name", "nowhere"])).exit).toBe(4);
    expect((await run(["site", "adopt", "--name", "onprem"])).exit).toBe(0);
    expect(await put("new", "on the new disk")).toBe(0);
    expect((await run(["cat", "kept"])).out).toBe("acknowledged");
    await stop();
    // The disk of before is not the site any more.
    await rename(join(directory, "onprem"), join(directory, "newer"));
    await rename(old, join(directory, "onprem"));
    await start(config);
    expect(await put("other", "x")).not.toBe(0);
    expect((await run(["site", "list", "-l"])).out).toContain("another place");
  });

  test("may be one that was added at run time", async () => {
    const config = await writeConfiguration(directory, [fileSite("onprem", "primary")], {
      ...EXTRA,
      security: { open: true, allowed_paths: [directory] },
    });
    await start(config);
    const add = ["site", "add", "--name", "added", "--uri", `file://${join(directory, "added")}`, "--role", "primary"];
    expect((await run(add)).exit).toBe(0);
    expect(await put("kept", "acknowledged")).toBe(0);
    await stop();
    await rename(join(directory, "added"), join(directory, "away"));
    await start(config);
    expect((await run(["site", "list", "-l"])).out).toMatch(/added.*mounted/);
    expect(await put("lost", "x")).not.toBe(0);
    await rename(join(directory, "away"), join(directory, "added"));
    await until("the site is well", async () => (await run(["status"])).exit === 0);
    expect(await put("new", "x")).toBe(0);
    // Removing and adding it again is no new place.
    expect((await run(["site", "remove", "--name", "added"])).exit).toBe(0);
    expect((await run(add)).exit).toBe(0);
  });
});

describe("a place that is a site already", () => {
  test("is used by a second catalog only when somebody says so, and by one site of a catalog", async () => {
    const config = await writeConfiguration(directory, [fileSite("onprem", "primary")], EXTRA);
    await start(config);
    expect(await put("kept", "acknowledged")).toBe(0);
    await stop();
    const second = await writeConfiguration(directory, [fileSite("onprem", "primary")], {
      ...EXTRA,
      coordinator: { listen_addr: "127.0.0.1:0", data_dir: "second-catalog" },
      security: { open: true, allowed_paths: [directory] },
    });
    await start(second);
    expect((await run(["site", "list", "-l"])).out).toMatch(/another catalog.*globalfs site adopt --name onprem/);
    expect(await put("lost", "x")).not.toBe(0);
    expect((await run(["site", "adopt", "--name", "onprem"])).exit).toBe(0);
    expect((await run(["cat", "kept"])).out).toBe("acknowledged");
    const uri = `file://${join(directory, "onprem")}`;
    const twice = await run(["site", "add", "--name", "twin", "--uri", uri, "--role", "backup"]);
    expect(twice.exit).toBe(6);
    expect(twice.err).toContain("site onprem lies at");
  });
});
