import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Served, serveInProcess } from "../testing/served.ts";

/** The commands that show and change what a file system knows of a path, as a person runs them. */

let served: Served;
beforeAll(async () => {
  served = await serveInProcess();
});
afterAll(async () => await served.stop());

async function good(...words: readonly string[]): Promise<string> {
  const { exit, out, err } = await served.run(words);
  expect([words, exit, err]).toEqual([words, 0, expect.not.stringContaining("globalfs:")]);
  return out;
}

async function statOf(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await good("stat", path, "--json")) as Record<string, unknown>;
}

test("a person makes, links, marks and looks at files, and takes all of it away again", async () => {
  await good("mkdir", "home", "-m", "0750");
  await good("mkdir", "-p", "home/a/b", "home/a/b");
  expect(await served.run(["mkdir", "home"])).toMatchObject({ exit: 6 });
  expect(await served.run(["mkdir", "none/a"])).toMatchObject({
    exit: 4,
    err: expect.stringContaining("With -p it is made"),
  });
  await served.run(["object", "put", "home/a/file"], { input: "hello" });
  expect((await served.run(["ln", "home/a/file", "home/a/b/"])).err).toBe("home/a/b/file is one of 2 names.\n");
  expect((await served.run(["ln", "-s", "../a/file", "home/link"])).err).toBe("home/link leads to ../a/file.\n");
  await good("chmod", "u+x,go-r", "home/a/file");
  await good("chmod", "0600", "gfs:home/a/b");
  await good("chown", "1000:100", "home/a/file", "home/a");
  await good("chown", ":7", "home/a");
  await good("touch", "-d", "2026-01-31", "home/a/file", "home/new");
  await good("touch", "-c", "home/none");
  expect([await statOf("home/a/b/file"), await statOf("home/a"), await statOf("home/new")]).toMatchObject([
    {
      kind: "file",
      mode: "0700",
      uid: 1_000,
      gid: 100,
      links: 2,
      size: 5,
      modified_at: "2026-01-31T00:00:00.000Z",
      extended: [],
    },
    { kind: "directory", uid: 1_000, gid: 7, mode: "0755" },
    { kind: "file", size: 0, accessed_at: "2026-01-31T00:00:00.000Z" },
  ]);
  const shown = await good("stat", "home", "home/link");
  expect(shown).toContain("Mode:      0750 (drwxr-x---)");
  expect(shown).toContain("Kind:      symlink to ../a/file");
  expect(await served.run(["stat", "home/none"])).toMatchObject({ exit: 4, out: "" });
  expect(await good("ls", "-l", "home")).toMatch(/link \(symlink\)\n/);
  expect(await good("ls", "home")).toBe("a/\nlink\nnew\n");
  expect(await good("cat", "home/a/b/file")).toBe("hello");
  await good("rm", "-r", "home");
  expect(await good("ls")).toBe("");
});

test("a person sees how much is there, and how much may still come", async () => {
  await served.rig.put("room/a", "12345");
  await good("quota", "set", "room", "--max-bytes", "1KiB");
  const shown = await good("df", "gfs:room/");
  expect(shown).toMatch(/^Path: +room\nFiles: +5 \(5 B\)\nBytes left: +1019 \(1019 B\)\nInodes: +1\n/);
  expect(shown).toMatch(/local +primary +does not tell/);
  expect(JSON.parse(await good("df", "room", "--json"))).toMatchObject({
    path: "room",
    max_bytes: 1_024,
    left_bytes: 1_019,
  });
  expect(await good("df")).toMatch(/Bytes left: +unknown/);
  expect(await served.run(["df", "none"])).toMatchObject({ exit: 4 });
  await good("quota", "clear", "room");
  await good("rm", "-r", "room");
});

test("what is copied within GlobalFS is the same there, links lead where they led, and all is counted", async () => {
  await served.rig.put("from/a", "12345", { contentType: "text/x", metadata: { one: "1" } });
  await served.rig.put("from/deep/b", "678");
  await good("ln", "-s", "../a", "from/deep/link");
  expect(await served.run(["cp", "gfs:from/a", "gfs:one"])).toMatchObject({ exit: 0, err: "Copied 1 file (5 B).\n" });
  expect((await served.run(["cp", "-r", "gfs:from", "gfs:to"])).err).toBe("Copied 3 files (8 B).\n");
  expect([await good("cat", "one"), await good("cat", "to/deep/b")]).toEqual(["12345", "678"]);
  expect(JSON.parse(await good("object", "head", "to/a", "--json"))).toMatchObject({
    content_type: "text/x",
    metadata: { one: "1" },
  });
  expect(await statOf("to/deep/link")).toMatchObject({ kind: "symlink", target: "../a" });
  expect((await served.run(["cp", "-r", "gfs:from", "gfs:to"])).exit).toBe(0);
  expect(await served.run(["cp", "gfs:none", "gfs:x"])).toMatchObject({ exit: 4 });
  expect((await served.run(["cp", "gfs:from", "gfs:x"])).err).toContain("there is: globalfs cp -r from");
  await good("rm", "-r", "from", "to", "one");
  expect(await good("ls", "-R")).not.toMatch(/from|to\/|one/);
});

describe("a command line that makes no sense", () => {
  test.each([
    ["chmod", "9", "k"],
    ["chown", "root", "k"],
    ["mkdir", "-m", "rwx", "k"],
    ["touch", "-d", "tomorrow", "k"],
  ])("%s %s %s is refused before anything is done", async (...words) => {
    expect((await served.run(words)).exit).toBe(2);
  });
});

test("touch changes only the time that is asked for, and makes nothing with -c", async () => {
  await served.run(["object", "put", "t"], { input: "x" });
  await good("touch", "-d", "2001-01-01", "t");
  await good("touch", "-m", "-d", "2002-02-02T02:02", "t");
  await good("touch", "-a", "-d", "2003-03-03T03:03:03.5+01:00", "t");
  expect(await statOf("t")).toMatchObject({
    modified_at: "2002-02-02T02:02:00.000Z",
    accessed_at: "2003-03-03T02:03:03.500Z",
  });
  expect(JSON.parse(await good("touch", "-c", "nothing", "--json"))).toEqual([{ path: "nothing", touched: false }]);
  expect(await served.run(["stat", "nothing"])).toMatchObject({ exit: 4 });
});
