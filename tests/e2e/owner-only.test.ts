import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, findConnection } from "@globalfs/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runGlobalfs, runProgram } from "./support/command.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";

/** On a machine with other users, only the one who started GlobalFS may command it. */

const NOBODY = 65_534;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-owner-"));
  // What is inside must keep others out by itself.
  await chmod(directory, 0o755);
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function exported(file: string, name: string): Promise<string> {
  return new RegExp(`^export ${name}=(.+)$`, "m").exec(await readFile(file, "utf8"))?.[1] ?? "";
}

async function openToOthers(below: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of ["", ...(await readdir(below, { recursive: true }))]) {
    const path = join(below, name);
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) found.push(`${path} ${(mode & 0o777).toString(8)}`);
  }
  return found;
}

describe("globalfs up", () => {
  let daemon: ReadyDaemon;
  let home: string;
  let file: string;
  beforeAll(async () => {
    home = join(directory, "home");
    file = join(home, ".globalfs", "rest.env");
    await mkdir(join(home, "deep", "below"), { recursive: true });
    daemon = await startDaemon({ directory: home, words: ["up", "--listen", "127.0.0.1:0"] });
  });
  afterAll(async () => {
    await daemon.stop();
  });

  test("makes a key that a request must show", async () => {
    const key = await exported(file, "GLOBALFS_API_KEY");
    expect(key).toMatch(/^gfs_\S{30,}$/);
    const usage = `${daemon.url}/api/v1/usage`;
    expect((await fetch(usage)).status).toBe(401);
    expect((await fetch(usage, { headers: { "X-GlobalFS-API-Key": key } })).status).toBe(200);
    const guess = { "X-GlobalFS-API-Key": "gfs_guess" };
    expect((await fetch(`${daemon.url}/api/v1/jobs/pause`, { method: "POST", headers: guess })).status).toBe(401);
  });

  test("makes nothing in its directory that others may read", async () => {
    expect((await runGlobalfs(["object", "put", "a/b"], { directory: home, input: "x" })).exit).toBe(0);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, ".globalfs"))).mode & 0o777).toBe(0o700);
    expect(await openToOthers(join(home, ".globalfs"))).toEqual([]);
  });

  test("is found by the command line and the client, in its directory and below it", async () => {
    const below = join(home, "deep", "below");
    expect((await runGlobalfs(["object", "put", "k"], { directory: below, input: "x" })).exit).toBe(0);
    expect((await runGlobalfs(["cat", "k"], { directory: home })).out).toBe("x");
    const connection = await findConnection({ directory: below, env: {} });
    expect(connection.file).toBe(file);
    const client = createClient(connection);
    expect((await client.info()).sites).toBe(2);
    await client.close();
  });

  test("is commanded with what the environment says, where it says something", async () => {
    const refused = await runGlobalfs(["cat", "k"], { directory: home, env: { GLOBALFS_API_KEY: "wrong" } });
    expect(refused.exit).toBe(5);
    const elsewhere = { GLOBALFS_COORDINATOR: "http://127.0.0.1:9" };
    expect((await runGlobalfs(["cat", "k"], { directory: home, env: elsewhere })).exit).toBe(3);
  });

  test("does not lend its key to another address", async () => {
    // The same coordinator under a name that the file does not know.
    const port = new URL(daemon.url).port;
    const { exit } = await runGlobalfs(["cat", "k"], {
      directory: home,
      env: { GLOBALFS_COORDINATOR: `http://127.1.2.3:${port}` },
    });
    expect([3, 5]).toContain(exit);
  });

  test("refuses a file that others may read, and says how to mend it", async () => {
    await chmod(file, 0o644);
    try {
      const { exit, err } = await runGlobalfs(["cat", "k"], { directory: home });
      expect(exit).toBe(2);
      expect(err).toContain(`chmod 600 ${file}`);
    } finally {
      await chmod(file, 0o600);
    }
  });

  test("keeps its key, and prints secrets at the start that made them only", async () => {
    const key = await exported(file, "GLOBALFS_API_KEY");
    const secret = await exported(join(home, ".globalfs", "s3.env"), "AWS_SECRET_ACCESS_KEY");
    expect(daemon.log()).toContain(secret);
    expect(daemon.log()).toContain(`X-GlobalFS-API-Key`);
    await daemon.stop();
    daemon = await startDaemon({ directory: home, words: ["up", "--listen", "127.0.0.1:0"] });
    expect(daemon.log()).not.toContain(secret);
    expect(daemon.log()).not.toContain(key);
    expect(await exported(file, "GLOBALFS_API_KEY")).toBe(key);
    expect((await runGlobalfs(["cat", "k"], { directory: home })).out).toBe("x");
  });

  test.skipIf(process.getuid?.() !== 0)(
    "neither shows its keys to another user of the machine nor obeys one (needs root, to become another user)",
    async () => {
      const asAnother = { uid: NOBODY, gid: NOBODY, directory: home };
      const read = await runProgram("cat", [file], asAnother);
      expect(read.exit).not.toBe(0);
      expect(read.out).toBe("");
      const listed = await runProgram("ls", [join(home, ".globalfs")], asAnother);
      expect(listed.exit).not.toBe(0);
      const code = `fetch("${daemon.url}/api/v1/jobs/pause", { method: "POST", headers: { "X-GlobalFS-API-Key": "gfs_guess" } }).then((answer) => console.log(answer.status))`;
      expect((await runProgram(process.execPath, ["-e", code], asAnother)).out.trim()).toBe("401");
    },
  );

  test.skipIf(process.getuid?.() !== 0)(
    "is not trusted where its file belongs to another user (needs root, to give it away)",
    async () => {
      const planted = join(directory, "planted");
      await mkdir(join(planted, ".globalfs"), { recursive: true });
      await writeFile(join(planted, ".globalfs", "rest.env"), "export GLOBALFS_COORDINATOR=http://127.0.0.1:9\n", {
        mode: 0o600,
      });
      await runProgram("chown", ["-R", String(NOBODY), join(planted, ".globalfs")]);
      const { exit, err } = await runGlobalfs(["cat", "k"], { directory: planted });
      expect(exit).toBe(2);
      expect(err).toContain("belongs to another user");
      expect(err).toContain("GLOBALFS_API_KEY");
    },
  );
});

describe("a coordinator without any key", () => {
  const sites = [fileSite("onprem", "primary")];

  test("does not start, and says what to choose", async () => {
    const config = await writeConfiguration(directory, sites, { security: { open: false } });
    const { exit, err } = await runGlobalfs(["coordinator", "start", "--config", config]);
    expect(exit).toBe(2);
    expect(err).toMatch(/GLOBALFS_API_KEY/);
    expect(err).toMatch(/--open/);
  });

  test("is open where that was chosen, and says so at its start, in status and in info", async () => {
    const config = await writeConfiguration(directory, sites, { security: { open: false } });
    const daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config, "--open"] });
    try {
      expect(daemon.events("open_to_everybody")).toHaveLength(1);
      const env = { GLOBALFS_COORDINATOR: daemon.url };
      expect((await runGlobalfs(["status"], { env })).out).toMatch(/^OPEN: every user of its machine/m);
      expect((await runGlobalfs(["info"], { env })).out).toMatch(/^Access: +open/m);
      expect((await (await fetch(`${daemon.url}/api/v1/info`)).json()) as object).toMatchObject({ access: "open" });
    } finally {
      await daemon.stop();
    }
  });

  test("is never open beyond this machine, and not beside keys", async () => {
    const far = await writeConfiguration(directory, sites, {
      security: { open: true },
      coordinator: { listen_addr: "0.0.0.0:0", data_dir: "catalog" },
    });
    const everywhere = await runGlobalfs(["coordinator", "start", "--config", far]);
    expect(everywhere.exit).toBe(2);
    expect(everywhere.err).toMatch(/security\.open/);
    const near = await writeConfiguration(directory, sites, { security: { open: true } });
    const both = await runGlobalfs(["coordinator", "start", "--config", near], {
      env: { GLOBALFS_API_KEY: "a".repeat(20) },
    });
    expect(both.exit).toBe(2);
    expect(both.err).toMatch(/security\.open/);
  });

  test("keeps its catalog to itself, also in a directory that was there", async () => {
    await mkdir(join(directory, "wide"), { mode: 0o755, recursive: true });
    const config = await writeConfiguration(directory, sites, {
      coordinator: { listen_addr: "127.0.0.1:0", data_dir: "wide/catalog" },
    });
    const daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
    try {
      expect(await openToOthers(join(directory, "wide", "catalog"))).toEqual([]);
    } finally {
      await daemon.stop();
    }
  });
});
