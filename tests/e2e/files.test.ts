import { readFile, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@globalfs/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ran, type RunOptions, runGlobalfs } from "./support/command.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { until } from "./support/until.ts";

/** What a person does with files beside their content, by the built command line and the client against the built daemon and disks. */

let directory: string;
let daemon: ReadyDaemon;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-files-"));
  const config = await writeConfiguration(directory, [fileSite("onprem", "primary"), fileSite("cloud", "burst")]);
  daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
});
afterAll(async () => {
  await daemon?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function run(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const env = { GLOBALFS_COORDINATOR: daemon.url, HOME: directory };
  return await runGlobalfs(words, { directory, ...options, env });
}

async function good(...words: readonly string[]): Promise<string> {
  const ran = await run(words);
  expect([words, ran.exit, ran.err]).toEqual([words, 0, expect.not.stringContaining("globalfs:")]);
  return ran.out;
}

const onDisk = async (site: string, key: string): Promise<string> => await readFile(join(directory, site, key), "utf8");

test("directories, names, links, modes, owners and times are made, shown and outlive a restart", async () => {
  await good("mkdir", "-p", "home/docs", "-m", "0750");
  expect((await run(["object", "put", "home/docs/a"], { input: "hello" })).exit).toBe(0);
  await good("ln", "home/docs/a", "home/b");
  await good("ln", "-s", "docs/a", "home/link");
  await good("chmod", "u=rw,go=", "home/b");
  await good("chown", "1000:100", "home/b");
  await good("touch", "-d", "2026-01-31T12:00:00.123456789Z", "home/b");
  await good("touch", "home/new");
  const look = async (): Promise<unknown> => JSON.parse(await good("stat", "home/docs/a", "--json"));
  const before = await look();
  expect(before).toMatchObject({ mode: "0600", uid: 1_000, gid: 100, links: 2, size: 5 });
  expect(await good("ls", "home")).toBe("b\ndocs/\nlink\nnew\n");
  await daemon.stop();
  daemon = await startDaemon({
    directory,
    words: ["coordinator", "start", "--config", join(directory, "config.yaml")],
  });
  expect(await look()).toEqual(before);
  // One name gets other content, and the other keeps its own.
  await run(["object", "put", "home/b"], { input: "other" });
  expect([await good("cat", "home/docs/a"), await good("cat", "home/b")]).toEqual(["hello", "other"]);
  await until("the other site has it", async () => (await onDisk("cloud", "home/b").catch(() => "")) === "other");
  expect([await onDisk("onprem", "home/docs/a"), await onDisk("onprem", "home/b")]).toEqual(["hello", "other"]);
});

test("copies within GlobalFS are made by the sites, and what is deleted goes from the disks", async () => {
  for (const name of ["one", "deep/two"]) await run(["object", "put", `from/${name}`], { input: name });
  await good("ln", "-s", "../one", "from/deep/link");
  expect((await run(["cp", "-r", "gfs:from", "gfs:to"])).err).toContain("Copied 3 files");
  expect([await good("cat", "to/one"), await good("cat", "to/deep/two")]).toEqual(["one", "deep/two"]);
  await until(
    "the other site has it",
    async () => (await onDisk("cloud", "to/deep/two").catch(() => "")) === "deep/two",
  );
  expect(JSON.parse(await good("stat", "to/deep/link", "--json"))).toMatchObject({ target: "../one" });
  await good("rm", "-r", "from", "to");
  expect(await good("ls")).not.toMatch(/from|to/);
  for (const site of ["onprem", "cloud"])
    await until(
      "it is gone",
      async () => (await stat(join(directory, site, "to/one")).catch(() => undefined)) === undefined,
    );
});

test("the client has names that are no UTF-8, extended attributes and pages of a directory", async () => {
  const client = createClient({ endpoint: daemon.url });
  try {
    await client.files.mkdir("odd/\udcff", { parents: true });
    await client.files.setExtended("odd/\udcff", { name: "user.x", value: Buffer.from([0, 1, 255]) });
    expect(await client.files.extended("odd/\udcff")).toEqual({ "user.x": Buffer.from([0, 1, 255]) });
    await client.files.removeExtended("odd/\udcff", { name: "user.x" });
    await client.put("odd/b", "x");
    const seen: string[] = [];
    for await (const entry of client.files.entries("odd", { limit: 1 })) seen.push(`${entry.path} ${entry.kind}`);
    expect(seen).toEqual(["odd/b file", "odd/\udcff directory"]);
    await expect(client.copy({ from: "odd/b", to: "odd/b" })).rejects.toMatchObject({ code: "AlreadyExists" });
    const gone: boolean[] = [];
    for await (const { deleted } of client.deleteMany(["odd/b", "odd/none"])) gone.push(deleted);
    expect(gone).toEqual([true, false]);
  } finally {
    await client.close();
  }
});
