import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runBuilt, startUp } from "./daemon.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-up-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("globalfs up", () => {
  test("serves, stops tidily on SIGTERM, and has everything again after a restart", async () => {
    const first = await startUp(join(directory, "data"));
    const env = { GLOBALFS_COORDINATOR: first.url };
    expect((await runBuilt(["object", "put", "my-key", "--input", "-"], env, "hello world\n")).exit).toBe(0);
    expect((await runBuilt(["object", "get", "my-key"], env)).out).toBe("hello world\n");
    expect((await runBuilt(["status"], env)).exit).toBe(0);
    expect(await first.stop()).toBe(0);
    expect((await runBuilt(["status"], env)).exit).toBe(3);

    const second = await startUp(join(directory, "data"));
    try {
      expect((await runBuilt(["cat", "my-key"], { GLOBALFS_COORDINATOR: second.url })).out).toBe("hello world\n");
    } finally {
      expect(await second.stop("SIGINT")).toBe(0);
    }
  });

  test("refuses to listen for everybody without a key, and says what to do", async () => {
    const words = ["up", "--data-dir", join(directory, "open"), "--listen", "0.0.0.0:0"];
    const { exit, err } = await runBuilt(words, { GLOBALFS_API_KEY: "" });
    expect(exit).toBe(2);
    expect(err).toMatch(/GLOBALFS_API_KEY/);
  });

  test("ends the output quietly when its reader has seen enough", async () => {
    const daemon = await startUp(join(directory, "pipe"));
    try {
      const env = { GLOBALFS_COORDINATOR: daemon.url };
      await runBuilt(["object", "put", "big"], env, "x".repeat(8_000_000));
      const binary = join(import.meta.dirname, "../../bin/globalfs.js");
      const child = spawn("bash", ["-o", "pipefail", "-c", `"$0" "$1" cat big | head -c 5`, process.execPath, binary], {
        env: { ...process.env, ...env },
      });
      let [out, err] = ["", ""];
      child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
      child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
      const [exit] = (await once(child, "close")) as [number];
      expect([exit, out, err]).toEqual([141, "xxxxx", ""]);
    } finally {
      await daemon.stop();
    }
  });
});

test("a configuration that is wrong keeps the daemon from starting", async () => {
  const { exit, err } = await runBuilt(["coordinator", "start", "--config", join(directory, "none.yaml")]);
  expect(exit).toBe(2);
  expect(err).toContain("globalfs config init");
});

test("completion scripts are there for four shells, and answer", async () => {
  for (const shell of ["bash", "zsh", "fish", "powershell"]) {
    const { exit, out } = await runBuilt(["completion", shell]);
    expect(exit).toBe(0);
    expect(out).toContain("globalfs");
    expect(out.length).toBeGreaterThan(1_000);
  }
  const { out } = await runBuilt(["complete", "--", "site", "add", "--role", ""], {
    GLOBALFS_COORDINATOR: "127.0.0.1:1",
  });
  expect(out).toMatch(/^primary\t?\nburst\t?\nbackup\t?\n/);
});
