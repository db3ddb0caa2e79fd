import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mayRun } from "./support/programs.ts";
import { reasonToSkip } from "./support/served.ts";

const COMMAND = join(import.meta.dirname, "..", "bin", "globalfs-fuse.js");
const NOBODY = 65_534;
const LIMIT_MS = 15_000;

/** What a command that refuses says, in one line, and its exit code. */
function refusal(words: readonly string[], uid?: number): { readonly code: number | null; readonly said: string } {
  const ids = uid === undefined ? {} : { uid, gid: uid };
  const { status, stderr } = spawnSync(process.execPath, [COMMAND, ...words], {
    encoding: "utf8",
    timeout: LIMIT_MS,
    ...ids,
  });
  return { code: status, said: stderr.split("\n", 1)[0] ?? "" };
}

describe.skipIf(reasonToSkip() !== undefined)("globalfs-fuse", () => {
  let base: string;
  let directory: string;
  const servers: { readonly child: ChildProcess; readonly ended: Promise<number | null> }[] = [];
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), "globalfs-command-"));
    chmodSync(base, 0o755);
    directory = join(base, "mnt");
    mkdirSync(directory);
  });
  afterEach(async () => {
    for (const { child, ended } of servers.splice(0).toReversed()) {
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(base, { recursive: true, force: true });
  });

  /** Resolves when the command has said where it has mounted, with a way to interrupt it. */
  async function serve(words: readonly string[]): Promise<() => Promise<number | null>> {
    const child = spawn(process.execPath, [COMMAND, ...words], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    servers.push({ child, ended });
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding("utf8").once("data", resolve);
      void ended.then((code) => reject(new Error(`It has ended with ${code}.`)));
    });
    expect(line).toBe(`Mounted at ${directory}\n`);
    return () => {
      child.kill("SIGINT");
      return ended;
    };
  }

  test("serves hello until it is interrupted", async () => {
    const interrupt = await serve(["hello", directory]);
    expect(readdirSync(directory)).toEqual(["hello"]);
    expect(readFileSync(join(directory, "hello"), "utf8")).toMatch(/hello/i);
    expect(await interrupt()).toBe(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("serves memory, as large as it was told to be", async () => {
    await serve(["memory", directory, "--size-mib", "1"]);
    writeFileSync(join(directory, "fits"), Buffer.alloc(500_000));
    expect(() => writeFileSync(join(directory, "too-large"), Buffer.alloc(2_000_000))).toThrow("ENOSPC");
  });

  test("serves what another directory has, to be read only if that was said", async () => {
    const source = join(base, "source");
    mkdirSync(source);
    writeFileSync(join(source, "file"), "content");
    await serve(["loopback", source, directory, "--read-only"]);
    expect(readFileSync(join(directory, "file"), "utf8")).toBe("content");
    expect(() => writeFileSync(join(directory, "file"), "changed")).toThrow("EROFS");
  });

  test("hides no files, unless that was said", async () => {
    writeFileSync(join(directory, "file"), "content");
    const { code, said } = refusal(["memory", directory]);
    expect(said).toContain(`${directory} is not empty, and what is in it would be hidden: choose an empty directory`);
    expect(code).toBe(1);
    await serve(["memory", directory, "--non-empty"]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("mounts nothing twice, unless that was said", async () => {
    await serve(["memory", directory]);
    writeFileSync(join(directory, "file"), "content");
    const { code, said } = refusal(["hello", directory]);
    expect(said).toContain(`memory is mounted at ${directory} already: unmount it with \`umount ${directory}\``);
    expect(code).toBe(1);
    const interrupt = await serve(["hello", directory, "--non-empty"]);
    expect(readdirSync(directory)).toEqual(["hello"]);
    expect(await interrupt()).toBe(0);
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  test("says which directory there is not", () => {
    const missing = join(base, "missing");
    expect(refusal(["memory", missing])).toEqual({
      code: 1,
      said: `There is no directory ${missing}: make it with \`mkdir -p ${missing}\`.`,
    });
    expect(refusal(["loopback", missing, directory]).said).toContain(
      `There is no directory ${missing} to show: name one that exists.`,
    );
    writeFileSync(join(base, "file"), "");
    expect(refusal(["loopback", join(base, "file"), directory]).said).toContain("is not a directory");
  });

  test("does not show a directory below itself", () => {
    expect(refusal(["loopback", base, directory])).toEqual({
      code: 2,
      said: `${directory} lies in ${base}, so it would have to wait for itself: choose a directory elsewhere.`,
    });
  });

  test("says which words make no sense", () => {
    expect(refusal([]).said).toMatch(/^Name a file system and a directory/);
    expect(refusal(["tape", directory]).said).toBe("There is no file system tape.");
    expect(refusal(["memory", directory, "--size-mib", "many"]).said).toBe("--size-mib takes a number from 1 on.");
    expect(refusal(["memory", directory, "--timeout-ms", "1"])).toEqual({
      code: 2,
      said: "--timeout-ms means nothing to memory.",
    });
  });

  const othersMayRun = reasonToSkip() === undefined && mayRun(NOBODY);
  const isClosed = othersMayRun && (statSync("/dev/fuse").mode & 0o006) !== 0o006;
  test.runIf(isClosed)("tells a user how to be let to the device", () => {
    const own = join(base, "own");
    spawnSync("install", ["-d", "-o", String(NOBODY), "-g", String(NOBODY), own]);
    const { code, said } = refusal(["memory", own], NOBODY);
    expect(said).toContain("/dev/fuse cannot be opened by this user: let everybody use it with `chmod 666 /dev/fuse`");
    expect(code).toBe(1);
  });

  test.runIf(othersMayRun)("tells a user that the directory has to be the user's own", () => {
    const { code, said } = refusal(["memory", directory], NOBODY);
    expect(said).toMatch(/This user may not mount at|\/dev\/fuse cannot be opened/);
    expect(code).toBe(1);
  });
});
