import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "@globalfs/client";
import { type Served, serveInProcess } from "../../src/cli/testing/served.ts";

let served: Served;
let directory: string;
beforeAll(async () => {
  served = await serveInProcess();
  directory = await mkdtemp(join(tmpdir(), "globalfs-e2e-"));
});
afterAll(async () => {
  await served.stop();
  await rm(directory, { recursive: true, force: true });
});

const json = (text: string): unknown => JSON.parse(text);

describe("objects", () => {
  test("go in from stdin and come out on stdout, byte for byte", async () => {
    const content = randomBytes(3_000_000);
    async function* pieces() {
      for (let at = 0; at < content.length; at += 70_001) yield content.subarray(at, at + 70_001);
    }
    const put = await served.run(["object", "put", "bin/a", "--input", "-"], { input: pieces() });
    expect(put).toMatchObject({ exit: 0, out: "", err: "Stored bin/a (2.86 MiB).\n" });
    const got = await served.run(["object", "get", "bin/a"]);
    expect(got.exit).toBe(0);
    expect(got.bytes.equals(content)).toBe(true);
    const head = json((await served.run(["object", "head", "bin/a", "--json"])).out);
    expect(head).toMatchObject({
      key: "bin/a",
      size: 3_000_000,
      sha256: createHash("sha256").update(content).digest("hex"),
    });
  });

  test("go in from a file and come out in one, with type and metadata", async () => {
    const [source, target] = [join(directory, "in.txt"), join(directory, "out.txt")];
    await writeFile(source, "hello\n");
    const words = ["object", "put", "doc/ü x", "--input", source, "--content-type", "text/plain", "--meta", "Owner=mü"];
    expect((await served.run(words)).exit).toBe(0);
    expect((await served.run(["object", "get", "doc/ü x", "--output", target])).exit).toBe(0);
    expect(await readFile(target, "utf8")).toBe("hello\n");
    expect(json((await served.run(["object", "head", "gfs:doc/ü x", "--json"])).out)).toMatchObject({
      size: 6,
      content_type: "text/plain",
      metadata: { owner: "mü" },
    });
    const again = await served.run(["object", "put", "doc/ü x", "--no-clobber"], { input: "other" });
    expect(again.exit).toBe(6);
    expect((await served.run(["cat", "doc/ü x", "doc/ü x"])).out).toBe("hello\nhello\n");
  });

  test("that are absent give exit code 4, and leave a local file as it was", async () => {
    const target = join(directory, "kept.txt");
    await writeFile(target, "kept");
    const got = await served.run(["object", "get", "nothing", "--output", target]);
    expect(got).toMatchObject({ exit: 4, out: "" });
    expect(got.err).toMatch(/^globalfs: .+\.\n$/);
    expect(await readFile(target, "utf8")).toBe("kept");
    expect((await readdir(directory)).filter((name) => name.endsWith(".part"))).toEqual([]);
    expect((await served.run(["object", "head", "nothing"])).exit).toBe(4);
    expect((await served.run(["ls", "nothing"])).exit).toBe(4);
  });

  test("with keys that are none are refused", async () => {
    for (const key of ["a/../b", "a//b", "../sites"]) {
      const got = await served.run(["object", "get", key, "--json"]);
      expect(got.exit).toBe(2);
      expect(json(got.err)).toMatchObject({ code: "InvalidKey", request_id: expect.any(String) });
    }
  });

  test("are listed, in pages, as table and as JSON", async () => {
    for (const name of ["a", "b", "d/x", "d/y"]) await served.run(["object", "put", `list/${name}`], { input: name });
    const rows = (await served.run(["object", "list", "--prefix", "list/"])).out.trimEnd().split("\n");
    expect(rows[0]).toMatch(/^KEY +SIZE {2}ETAG +LAST MODIFIED$/);
    expect(rows.slice(1).map((row) => row.split(/\s+/)[0])).toEqual(["list/a", "list/b", "list/d/x", "list/d/y"]);
    const limited = json((await served.run(["object", "list", "--prefix", "list/", "--limit", "3", "--json"])).out);
    expect((limited as { key: string }[]).map(({ key }) => key)).toEqual(["list/a", "list/b", "list/d/x"]);
    expect((await served.run(["object", "list", "--prefix", "none/", "--json"])).out).toBe("[]\n");
    expect((await served.run(["ls", "list"])).out).toBe("a\nb\nd/\n");
    expect((await served.run(["ls", "-R", "list/"])).out).toBe("a\nb\nd/x\nd/y\n");
    expect((await served.run(["ls", "-l", "list"])).out).toMatch(/^ *1 B {2}\d{4}-\d\d-\d\dT[\d:]{8} {2}a\n/);
    expect((await served.run(["ls", "list/a"])).out).toBe("list/a\n");
    expect((await served.run(["du", "list", "--json"])).exit).toBe(0);
    expect((await served.run(["du", "list/", "--bytes"])).out).toMatch(/\(files\) +4 +8\n?$/m);
  });

  test("are renamed and deleted", async () => {
    await served.run(["object", "put", "mv/a"], { input: "1" });
    await served.run(["object", "put", "mv/b"], { input: "2" });
    expect((await served.run(["mv", "mv/a", "mv/b"])).exit).toBe(6);
    expect((await served.run(["mv", "-f", "mv/a", "mv/b"])).exit).toBe(0);
    expect((await served.run(["cat", "mv/b"])).out).toBe("1");
    expect((await served.run(["mv", "mv/", "moved/"])).exit).toBe(0);
    expect((await served.run(["cat", "moved/b"])).out).toBe("1");
    expect((await served.run(["object", "delete", "moved/b"])).exit).toBe(0);
    expect((await served.run(["cat", "moved/b"])).exit).toBe(4);
    for (const name of ["a", "b/c"]) await served.run(["object", "put", `rm/${name}`], { input: name });
    expect(await served.run(["rm", "-r", "rm"])).toMatchObject({ exit: 0, err: expect.stringContaining("Deleted") });
    expect((await served.run(["ls", "rm"])).exit).toBe(4);
  });
});

describe("cp", () => {
  test("copies trees in and out, and names what it left out", async () => {
    const source = join(directory, "tree");
    await mkdir(join(source, "deep/er"), { recursive: true });
    await writeFile(join(source, "a.txt"), "A");
    await writeFile(join(source, "deep/er/b.bin"), randomBytes(100_000));
    await writeFile(join(source, "empty"), "");
    await symlink("a.txt", join(source, "link"));
    const up = await served.run(["cp", "-r", source, "gfs:tree"]);
    expect(up.exit).toBe(7);
    expect(up.err).toContain(`${join(source, "link")} was left out: it is a symbolic link.`);
    const target = join(directory, "copy");
    expect((await served.run(["cp", "-r", "gfs:tree", target])).exit).toBe(0);
    for (const name of ["a.txt", "deep/er/b.bin", "empty"]) {
      expect((await readFile(join(target, name))).equals(await readFile(join(source, name)))).toBe(true);
    }
    expect((await served.run(["cp", "-r", "gfs:absent", target])).exit).toBe(4);
    expect((await served.run(["cp", source, "gfs:x"])).err).toContain(`globalfs cp -r ${source} gfs:PREFIX`);
  });

  test("copies single objects between disk, pipe and namespace", async () => {
    expect((await served.run(["cp", "-", "cp/one"], { input: "one" })).exit).toBe(0);
    expect((await served.run(["cp", "gfs:cp/one", "gfs:cp/two"])).exit).toBe(0);
    expect((await served.run(["cp", "cp/two", "-"])).out).toBe("one");
    expect((await served.run(["cp", "gfs:cp/two", directory])).exit).toBe(0);
    expect(await readFile(join(directory, "two"), "utf8")).toBe("one");
    expect((await served.run(["cp", join(directory, "two"), "gfs:cp/sub/"])).exit).toBe(0);
    expect((await served.run(["cat", "cp/sub/two"])).out).toBe("one");
  });
});

describe("operators", () => {
  test("see sites, health and statistics", async () => {
    const list = await served.run(["site", "list"]);
    expect(list.out.split("\n")[0]).toMatch(/^NAME +ROLE +STATUS/);
    expect(list.out).toMatch(/^local +primary +healthy/m);
    expect(json((await served.run(["site", "list", "--json"])).out)).toMatchObject([
      { name: "local", role: "primary", healthy: true },
      { name: "cloud", role: "burst", healthy: true },
    ]);
    const status = await served.run(["status"]);
    expect([status.exit, status.out.split("\n")[0]]).toEqual([0, "HEALTHY"]);
    expect(json((await served.run(["info", "--json"])).out)).toMatchObject({
      sites: 2,
      sites_by_role: { primary: 1, burst: 1 },
    });
    expect((await served.run(["info"])).out).toMatch(/^Sites: +2 \(1 primary, 1 burst\)$/m);
  });

  test("replicate, follow jobs and hold them", async () => {
    await served.run(["object", "put", "job/a"], { input: "bytes" });
    await served.rig.settled();
    const done = await served.run([
      "replicate",
      "--key",
      "job/a",
      "--from",
      "local",
      "--to",
      "cloud",
      "--wait",
      "--json",
    ]);
    expect(done.exit).toBe(0);
    const job = json(done.out) as { id: string; state: string };
    expect(job.state).toBe("done");
    expect((await served.run(["jobs", "show", job.id])).out).toMatch(/^State: +done$/m);
    expect((await served.run(["jobs", "list", "--state", "done"])).out).toContain(job.id);
    expect((await served.run(["jobs", "pause", "--all"])).exit).toBe(0);
    expect((await served.run(["jobs", "resume", "--all"])).exit).toBe(0);
    expect((await served.run(["jobs", "show", "nonsense"])).exit).not.toBe(0);
    expect((await served.run(["replicate", "--key", "job/a", "--from", "local", "--to", "mars"])).exit).not.toBe(0);
  });

  test("get explanations", async () => {
    const { exit, out } = await served.run(["explain", "job/a"]);
    expect(exit).toBe(0);
    expect(out).toMatch(/^Key: +job\/a$/m);
    expect(out).toMatch(/^local +present/m);
    expect(out).toMatch(/^Writes: +default order: now to local, later to cloud$/m);
    const gone = json((await served.run(["explain", "never/was", "--json"])).out);
    expect(gone).toMatchObject({ exists: false });
  });

  test("import what a site holds, and see how much there was", async () => {
    const store = served.rig.stores["cloud"];
    if (store === undefined) throw new Error("The rig has no site cloud.");
    const client = createClient({ endpoint: served.url });
    for (const name of ["x", "y"]) {
      const staged = await store.stage(
        { log: undefined, signal: new AbortController().signal, requestId: "t" } as never,
        `old/${name}`,
        {},
      );
      await staged.write(Buffer.from(name));
      await staged.seal();
      await staged.commit({ signal: new AbortController().signal, requestId: "t" } as never);
    }
    const state = { XDG_STATE_HOME: join(directory, "state") };
    const done = await served.run(["import", "cloud", "old/"], { env: state });
    expect(done).toMatchObject({ exit: 0, err: "cloud: looked at 2, adopted 2, known already 0.\n" });
    expect(await (await client.get("old/x"))?.text()).toBe("x");
    await client.close();
    expect((await served.run(["import", "nowhere"], { env: state })).exit).not.toBe(0);
  });
});

test("a coordinator with keys wants one, and says how to give it", async () => {
  const guarded = await serveInProcess({}, "the-key");
  try {
    const refused = await guarded.run(["site", "list"]);
    expect(refused.exit).toBe(5);
    expect(refused.err).toContain("--api-key or GLOBALFS_API_KEY");
    expect((await guarded.run(["site", "list"], { env: { GLOBALFS_API_KEY: "the-key" } })).exit).toBe(0);
    expect((await guarded.run(["--api-key", "the-key", "site", "list"])).exit).toBe(0);
  } finally {
    await guarded.stop();
  }
});
