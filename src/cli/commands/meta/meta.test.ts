import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import type { FilePath } from "../../../core/ids.ts";
import { encodeKey, type Kv, openLmdbKv, type Program } from "../../../kv/index.ts";
import { createInodeAllocator, initialize, makeDirectory } from "../../../namespace/index.ts";
import { runWords } from "../../testing/served.ts";

let directory: string;
let kv: Kv;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "gfs-meta-"));
  kv = await openLmdbKv({ path: join(directory, "catalog") });
  await kv.transact((tx) => initialize(tx, 1));
  const how = { mode: 0o755, uid: 0, gid: 0, parents: true, existing: "keep" as const, nowMs: 2 };
  const made = { ...how, path: "a/b" as FilePath };
  await createInodeAllocator(kv).transact((tx, nextInode) => makeDirectory(tx, { ...made, nextInode }));
});
afterEach(async () => {
  await kv.close();
  await rm(directory, { recursive: true });
});

const meta = async (...words: readonly string[]): ReturnType<typeof runWords> => await runWords(["meta", ...words]);
const place = (name: string): string => join(directory, name);

describe("the catalog of a coordinator that runs", () => {
  test("is checked, and what is wrong is told with what to do, and exit code 1", async () => {
    const whole = await meta("check", "--data-dir", place("catalog"), "--json");
    expect(whole.exit).toBe(0);
    expect(JSON.parse(whole.out)).toMatchObject({ directories: 3, faults: 0, findings: [] });
    await kv.transact(function* (tx): Program<void> {
      tx.delete(encodeKey("n", "inodes"));
    });
    const broken = await meta("check", "--data-dir", place("catalog"));
    expect(broken.exit).toBe(1);
    expect(broken.out).toMatch(/1 faults:\n {2}The next inode .*\nSave the catalog with `globalfs meta dump`/);
  });

  test("is dumped to the output and to a file for the user alone, compressed where its name says so", async () => {
    const out = await meta("dump", "--data-dir", place("catalog"));
    expect(out.out.split("\n")[0]).toContain('"globalfs":"catalog dump"');
    expect((await meta("dump", place("d.jsonl"), "--data-dir", place("catalog"))).exit).toBe(0);
    expect(await readFile(place("d.jsonl"), "utf8")).toBe(out.out);
    expect((await stat(place("d.jsonl"))).mode & 0o777).toBe(0o600);
    const json = await meta("dump", place("d.gz"), "--data-dir", place("catalog"), "--json");
    expect(JSON.parse(json.out)).toMatchObject({ file: place("d.gz"), rows: expect.any(Number) });
    expect(gunzipSync(await readFile(place("d.gz"))).toString()).toBe(out.out);
  });
});

describe("a dump", () => {
  test("is loaded where there is no catalog, and gives the same dump again", async () => {
    await meta("dump", place("d.gz"), "--data-dir", place("catalog"));
    expect((await meta("load", place("d.gz"), "--into", place("new"))).exit).toBe(0);
    const [before, after] = [
      await meta("dump", "--data-dir", place("catalog")),
      await meta("dump", "--data-dir", place("new")),
    ];
    expect(after.out).toBe(before.out);
    const again = await meta("load", place("d.gz"), "--into", place("new"), "--json");
    expect([again.exit, JSON.parse(again.err)]).toEqual([6, expect.objectContaining({ code: "AlreadyExists" })]);
    const piped = await runWords(["meta", "load", "-", "--into", place("piped")], { input: before.out });
    expect(piped.exit).toBe(0);
    expect((await meta("check", "--data-dir", place("piped"))).out).toContain("no faults");
  });

  test("that breaks off is refused, compressed or not, and leaves no catalog behind", async () => {
    await meta("dump", place("d.gz"), "--data-dir", place("catalog"));
    const whole = await readFile(place("d.gz"));
    await writeFile(place("cut.gz"), whole.subarray(0, -20));
    await writeFile(place("cut.jsonl"), gunzipSync(whole).subarray(0, -20));
    for (const name of ["cut.gz", "cut.jsonl"]) {
      const refused = await meta("load", place(name), "--into", place("new"), "--json");
      expect([refused.exit, JSON.parse(refused.err)]).toEqual([1, expect.objectContaining({ code: "DataCorrupt" })]);
    }
    expect((await meta("load", place("none"), "--into", place("new"))).exit).toBe(4);
    expect((await meta("check", "--data-dir", place("new"))).exit).not.toBe(0);
  });
});

describe("backups", () => {
  test("are made now at the primaries, listed without a catalog, and can be loaded", async () => {
    await kv.close();
    const config = place("config.yaml");
    await writeFile(
      config,
      [
        "coordinator:",
        "  data_dir: catalog",
        "sites:",
        "  - name: local",
        "    role: primary",
        "    store: { driver: file, path: local }",
        "  - name: away",
        "    role: burst",
        "    store: { driver: file, path: away }",
      ].join("\n"),
    );
    kv = await openLmdbKv({ path: place("catalog") });
    const early = await meta("backup", "--config", config);
    expect([early.exit, early.err]).toEqual([3, expect.stringContaining("No site took the backup")]);
    const { openFileStore } = await import("../../../stores/index.ts");
    const store = await openFileStore({ root: place("local") });
    const ctx = backgroundCtx();
    const staged = await store.stage(ctx, ".globalfs/site");
    await staged.write(Buffer.from(`${JSON.stringify({ v: 1, id: "0".repeat(32), what: "a test" })}\n`));
    await staged.seal();
    await staged.commit(ctx);
    await kv.transact(function* (tx): Program<void> {
      tx.put(
        encodeKey("coordinator-place", "local"),
        Buffer.from(JSON.stringify({ state: "held", id: "0".repeat(32) })),
      );
    });
    const made = await meta("backup", "--config", config, "--json");
    expect([made.exit, made.err]).toEqual([0, ""]);
    const { key } = JSON.parse(made.out) as { readonly key: string };
    const listed = await meta("backups", "--config", config, "--json");
    expect(listed.exit).toBe(7);
    expect(listed.err).toContain("Site away was not asked");
    expect(JSON.parse(listed.out)).toEqual([expect.objectContaining({ key, site: "local" })]);
    expect(
      (await meta("load", join(place("local"), ".globalfs~d2e676c6f62616c6673", key.slice(10)), "--into", place("new")))
        .exit,
    ).toBe(0);
    expect((await meta("check", "--data-dir", place("new"))).exit).toBe(0);
    await kv.close();
    await writeFile(config, (await readFile(config, "utf8")).replace("data_dir: catalog", "data_dir: again"));
    const refused = await meta("rebuild", "--config", config, "--json");
    expect([refused.exit, refused.err]).toEqual([3, expect.stringContaining("Site away does not answer")]);
    const dry = await meta("rebuild", "--config", config, "--partial", "--dry-run");
    expect([dry.exit, dry.err]).toEqual([7, expect.stringContaining("Would be made from .globalfs/backups/")]);
    const done = await meta("rebuild", "--config", config, "--partial", "--json");
    expect(done.exit).toBe(7);
    expect(JSON.parse(done.out)).toMatchObject({ backup: { key }, check: { directories: 3, faults: 0 } });
    const { revision } = (JSON.parse(done.out) as { readonly backup: { readonly revision: number } }).backup;
    // Changes are told after those of the catalog that was lost.
    kv = await openLmdbKv({ path: place("again") });
    expect(await kv.revision()).toBeGreaterThan(revision);
    await kv.close();
    const again = await meta("rebuild", "--config", config, "--partial", "--from-sites", "--json");
    expect([again.exit, JSON.parse(again.err.trim().split("\n").at(-1) as string)]).toEqual([
      6,
      expect.objectContaining({ code: "AlreadyExists" }),
    ]);
    kv = await openLmdbKv({ path: place("again") });
    expect(await kv.view((tx) => tx.get(encodeKey("coordinator-place", "local")))).toBeDefined();
  });
});
