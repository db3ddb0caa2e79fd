import { execFile, execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { reasonToSkip, Served } from "./support/served.ts";
import * as calls from "./support/system-calls.ts";

const run = promisify(execFile);
const NOBODY = 65_534;
const GROUP = 4242;

/** The binary form of an access control list: tag, permissions and id of each entry. See acl(5). */
const Tag = { owner: 1, user: 2, group: 4, mask: 16, others: 32 } as const;
function accessControlList(entries: readonly (readonly [tag: number, permissions: number, id?: number])[]): Buffer {
  const list = Buffer.alloc(4 + entries.length * 8);
  list.writeUInt32LE(2, 0);
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    list.writeUInt16LE(tag, 4 + index * 8);
    list.writeUInt16LE(permissions, 6 + index * 8);
    list.writeUInt32LE(id ?? 0xffff_ffff, 8 + index * 8);
  }
  return list;
}

const NOBODY_READS = accessControlList([
  [Tag.owner, 6],
  [Tag.user, 4, NOBODY],
  [Tag.group, 0],
  [Tag.mask, 4],
  [Tag.others, 0],
]);
const EVERYTHING_FOR_NOBODY = accessControlList([
  [Tag.owner, 7],
  [Tag.user, 7, NOBODY],
  [Tag.group, 5],
  [Tag.mask, 7],
  [Tag.others, 1],
]);

/** Whether files here can be marked as to be appended to only. */
function knowsAppendOnly(): boolean {
  const directory = fs.mkdtempSync(join(tmpdir(), "globalfs-append-only-"));
  const file = join(directory, "file");
  try {
    fs.writeFileSync(file, "");
    const marked = spawnSync("chattr", ["+a", file]).status === 0;
    if (marked) spawnSync("chattr", ["-a", file]);
    else if (process.env["GLOBALFS_REQUIRE_SERVERS"] === "1") throw new Error("chattr +a does not work here.");
    return marked;
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

describe.skipIf(reasonToSkip() !== undefined).each(["off", "read", "write"])(
  "permissions in loopback, passthrough %s",
  (passthrough) => {
    let served: Served;
    let source = "";
    const at = (...names: string[]): string => join(served.directory, ...names);
    const behind = (...names: string[]): string => join(source, ...names);
    const asUser = (script: string): Promise<{ stdout: string }> =>
      run("sh", ["-c", script], { uid: NOBODY, gid: GROUP, cwd: served.directory });
    const setList = (path: string, kind: "access" | "default", list: Buffer): number =>
      calls.setxattr(path, `system.posix_acl_${kind}`, list, list.length, 0);

    beforeAll(async () => {
      source = fs.mkdtempSync(join(tmpdir(), "globalfs-permissions-"));
      fs.chmodSync(source, 0o755);
      served = await Served.start("loopback", { words: [JSON.stringify({ source, passthrough, timeoutMs: 60_000 })] });
    });
    afterAll(async () => {
      await served.clean();
      fs.rmSync(source, { recursive: true, force: true });
    });

    test("access control lists let in whom they name, and show in the mode at once", async () => {
      fs.writeFileSync(at("listed"), "for nobody", { mode: 0o600 });
      await expect(asUser("cat listed")).rejects.toThrow("Permission denied");
      setList(at("listed"), "access", NOBODY_READS);
      expect(fs.statSync(at("listed")).mode & 0o777).toBe(0o640);
      expect((await asUser("cat listed")).stdout).toBe("for nobody");
      await expect(asUser("echo more >> listed")).rejects.toThrow("Permission denied");
      // The group's bits are the list's mask now.
      fs.chmodSync(at("listed"), 0o600);
      await expect(asUser("cat listed")).rejects.toThrow("Permission denied");
      const stored = Buffer.alloc(256);
      const length = calls.getxattr(behind("listed"), "system.posix_acl_access", stored, stored.length);
      expect(stored.readUInt16LE(4 + 3 * 8 + 2)).toBe(0);
      expect(length).toBe(NOBODY_READS.length);
    });

    test("a directory's default list stands in the place of the umask, and otherwise that of the caller counts", async () => {
      const make = "umask 027; mkdir made; echo x > made/file; : > file; mkfifo fifo";
      for (const place of [at("inherits"), behind("as-on-the-disk")]) {
        fs.mkdirSync(place);
        fs.chmodSync(place, 0o777);
        await run("sh", ["-c", make], { cwd: place });
        fs.mkdirSync(join(place, "listed"));
        fs.chmodSync(join(place, "listed"), 0o777);
        setList(join(place, "listed"), "default", EVERYTHING_FOR_NOBODY);
        await run("sh", ["-c", make], { cwd: join(place, "listed") });
      }
      const modes = (base: string): string[] =>
        fs
          .readdirSync(base, { recursive: true, encoding: "utf8" })
          .toSorted()
          .map((name) => `${name} ${fs.statSync(join(base, name)).mode.toString(8)}`);
      expect(modes(at("inherits"))).toEqual(modes(behind("as-on-the-disk")));
      expect(modes(at("inherits"))).toContain("file 100640");
      expect(modes(at("inherits"))).toContain("listed/made 40771");
      expect((await asUser("cat inherits/listed/made/file")).stdout).toBe("x\n");
    });

    test("a direct write of somebody else takes set-user-id away for all to see", async () => {
      fs.writeFileSync(at("privileged"), "x".repeat(4096));
      for (const [before, after] of [
        [0o6777, 0o777],
        [0o6767, 0o767],
      ] as const) {
        fs.chmodSync(at("privileged"), before);
        expect(fs.statSync(at("privileged")).mode & 0o7777).toBe(before);
        await asUser("dd if=/dev/zero of=privileged bs=4096 count=1 conv=notrunc oflag=direct status=none");
        expect(fs.statSync(at("privileged")).mode & 0o7777).toBe(after);
      }
    });

    test("allocating in a file of others takes set-group-id away unless one is in its group, and that shows at once", async () => {
      fs.writeFileSync(at("allocated"), "x");
      for (const [group, after] of [
        [0, 0o767],
        [GROUP, 0o2767],
      ] as const) {
        fs.chownSync(at("allocated"), 0, group);
        fs.chmodSync(at("allocated"), 0o6767);
        expect(fs.statSync(at("allocated")).mode & 0o7777).toBe(0o6767);
        await asUser("fallocate -l 8192 allocated");
        expect(fs.statSync(at("allocated")).mode & 0o7777).toBe(after);
        expect(fs.statSync(behind("allocated")).mode & 0o7777).toBe(after);
      }
    });

    test("root gives a file away with its set-group-id, but without its set-user-id", () => {
      fs.writeFileSync(at("given"), "x");
      fs.chownSync(at("given"), NOBODY, GROUP);
      fs.chmodSync(at("given"), 0o6644);
      fs.chownSync(at("given"), 0, GROUP);
      expect(fs.statSync(at("given")).mode & 0o7777).toBe(0o2644);
      fs.chmodSync(at("given"), 0o6654);
      fs.chownSync(at("given"), NOBODY, GROUP);
      expect(fs.statSync(at("given")).mode & 0o7777).toBe(0o654);
    });

    test.runIf(knowsAppendOnly())("what may only be appended to is opened for appending, and for nothing else", () => {
      fs.writeFileSync(at("log"), "first\n");
      try {
        execFileSync("chattr", ["+a", at("log")]);
        fs.appendFileSync(at("log"), "second\n");
        expect(() => fs.writeFileSync(at("log"), "")).toThrow("EPERM");
        expect(() => fs.openSync(at("log"), "r+")).toThrow("EPERM");
        const file = fs.openSync(at("log"), "a+");
        fs.writeSync(file, "third\n", 0);
        fs.closeSync(file);
        expect(fs.readFileSync(behind("log"), "utf8")).toBe("first\nsecond\nthird\n");
      } finally {
        execFileSync("chattr", ["-a", behind("log")]);
      }
    });
  },
);
