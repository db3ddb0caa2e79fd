import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rigCtx } from "../../coordinator/testing/rig.ts";
import { isRoot } from "../location.ts";
import { type Served, serveInProcess } from "../testing/served.ts";

let served: Served;
beforeAll(async () => {
  served = await serveInProcess();
});
afterAll(async () => served.stop());

beforeEach(async () => {
  await served.run(["rm", "-rf", "--all", "--yes"]);
  for (const key of ["a", "runs/1/x", "runs/1/y", "runs/2/z", "runs/1"]) await served.rig.put(key, "12");
});

async function keys(): Promise<string[]> {
  const { out } = await served.run(["object", "list", "--json"]);
  return (JSON.parse(out) as { key: string }[]).map(({ key }) => key);
}
const ALL = ["a", "runs/1", "runs/1/x", "runs/1/y", "runs/2/z"];

describe("deleting what an unset variable leaves", () => {
  test.each([
    ["rm", "-r", ""],
    ["rm", "-r", "/"],
    ["rm", "-r", "//"],
    ["rm", "-r", "."],
    ["rm", "-r", "./"],
    ["rm", "-rf", "gfs:"],
    ["rm", "-r", "gfs:/"],
    ["rm", "-r", "a", "/"],
    ["rm", ""],
    ["rm", "/"],
    ["rm"],
    ["rm", "-r"],
    ["rm", "--all"],
    ["rm", "-r", "--all", "a"],
    ["object", "delete", ""],
    ["mv", "", "x"],
    ["mv", "a", ""],
    ["mv", "/", "x/"],
    ["mv", "gfs:", "x/"],
    ["cp", "-r", "", "gfs:x"],
    ["cp", "-r", "gfs:", "./nowhere"],
    ["cp", "-r", "gfs:/", "gfs:copy"],
    ["import", "cloud", ""],
    ["import", ""],
    ["site", "remove", "--name", ""],
    ["jobs", "cancel", ""],
    ["jobs", "pause", ""],
    ["replicate", "--key", "", "--from", "local", "--to", "cloud"],
  ])("is refused with exit code 2 and changes nothing: %j", async (...words) => {
    const { exit, out, err } = await served.run(words);
    expect([exit, out]).toEqual([2, ""]);
    expect(err).toMatch(/^globalfs: .*(is empty|is the root|[Nn]ame what|--all)/);
    expect(await keys()).toEqual(ALL);
    expect(await served.run(["site", "list"])).toMatchObject({ out: expect.stringMatching(/cloud/) });
  });

  test("knows the root by its many names, and nothing else for it", () => {
    for (const root of ["", "/", "//", ".", "./", "././", "/./"]) expect(isRoot(root), root).toBe(true);
    for (const key of ["a", "..", "../", ".a", "a/", "/a", "./a", "...", "a/."]) expect(isRoot(key), key).toBe(false);
  });

  test("happens when all of it is meant", async () => {
    expect(await served.run(["rm", "-r", "--all"])).toMatchObject({
      exit: 0,
      err: "Deleted 5 objects.\nJobs are queued to delete the copies at: cloud.\n",
    });
    expect(await keys()).toEqual([]);
  });
});

describe("rm says what happened", () => {
  test("of a key that is not there: exit code 4, and the name that was perhaps meant", async () => {
    await served.rig.put("data/results.csv", "1");
    const missed = await served.run(["rm", "data/result.csv"]);
    expect(missed).toEqual({
      ...missed,
      exit: 4,
      out: "",
      err: "globalfs: There is no object data/result.csv; did you mean data/results.csv?\n",
    });
    expect((await served.run(["rm", "zzz"])).err).toBe("globalfs: There is no object zzz.\n");
    expect(await served.run(["rm", "-f", "zzz"])).toMatchObject({ exit: 0, err: "Deleted 0 objects.\n" });
    expect(await served.run(["object", "delete", "zzz"])).toMatchObject({ exit: 4 });
    expect(JSON.parse((await served.run(["rm", "zzz", "--json"])).err)).toMatchObject({ code: "NotFound" });
  });

  test("of a directory without -r: it is one, and stays", async () => {
    for (const words of [
      ["rm", "runs"],
      ["rm", "-f", "runs"],
      ["rm", "runs/"],
      ["object", "delete", "runs"],
    ]) {
      const { exit, err } = await served.run(words);
      expect([exit, err]).toEqual([
        6,
        `globalfs: ${words.at(-1)} is a directory; for what is below it there is: globalfs rm -r runs\n`,
      ]);
    }
    expect(await keys()).toEqual(ALL);
  });

  test("of a directory that is not there: exit code 4", async () => {
    expect(await served.run(["rm", "-r", "no/such"])).toMatchObject({
      exit: 4,
      err: "globalfs: There is no object no/such.\n",
    });
    expect(await served.run(["rm", "-rf", "no/such"])).toMatchObject({ exit: 0, err: "Deleted 0 objects.\n" });
  });

  test("of what was there: the true count, an object and a directory of one name together", async () => {
    expect(await served.run(["rm", "a"])).toMatchObject({
      exit: 0,
      err: expect.stringMatching(/^Deleted 1 object\.\n/),
    });
    expect(await served.run(["rm", "-r", "runs/1"])).toMatchObject({
      exit: 0,
      err: expect.stringMatching(/^Deleted 3 objects\.\n/),
    });
    expect(await keys()).toEqual(["runs/2/z"]);
    const { out, exit } = await served.run(["rm", "-r", "runs", "--json"]);
    expect([exit, JSON.parse(out)]).toEqual([
      0,
      { deleted: 1, failed: 0, failures: [], left_out: 0, omissions: [], pending_sites: ["cloud"], failed_sites: [] },
    ]);
  });

  test("of several: those that were there are gone, the others are named, and the exit code is 7", async () => {
    const { exit, err } = await served.run(["rm", "gone", "a", "runs"]);
    expect(exit).toBe(7);
    expect(err).toContain("There is no object gone.\n");
    expect(err).toContain("runs is a directory;");
    expect(err).toMatch(/^Deleted 1 object, 2 failed\.$/m);
    const none = await served.run(["rm", "gone", "lost", "--json"]);
    expect([none.exit, none.err]).toEqual([4, ""]);
    expect(JSON.parse(none.out)).toMatchObject({
      deleted: 0,
      failed: 2,
      failures: [
        { name: "gone", code: "NotFound" },
        { name: "lost", code: "NotFound" },
      ],
    });
  });

  test("of nothing, with --dry-run: it names what would go", async () => {
    const shown = await served.run(["rm", "-rn", "runs/1", "a"]);
    expect(shown).toMatchObject({ exit: 0, err: "Would delete 4 objects (8 B).\n" });
    expect(shown.out.trimEnd().split("\n").sort()).toEqual(["a", "runs/1", "runs/1/x", "runs/1/y"]);
    const counted = await served.run(["rm", "-n", "a", "--json"]);
    expect(JSON.parse(counted.out)).toMatchObject({ would_delete: 1, bytes: 2 });
    expect((await served.run(["rm", "-n", "zzz"])).exit).toBe(4);
    expect((await served.run(["rm", "-n", "runs"])).exit).toBe(6);
    expect(await keys()).toEqual(ALL);
  });
});

describe("rm on a terminal", () => {
  test("says how much is meant before more than three objects go, and takes only a yes for one", async () => {
    for (const input of ["n\n", "\n", "", "yes please\n"]) {
      const { exit, err } = await served.run(["rm", "-r", "runs", "a", "--json"], { watched: true, input });
      expect([input, exit]).toEqual([input, 130]);
      expect(err).toMatch(/^Delete 5 objects \(10 B\) at and below runs, a\? \[y\/N\] /);
      expect(err).toContain("Nothing was deleted.");
    }
    expect(await keys()).toEqual(ALL);
    const everything = await served.run(["rm", "-r", "--all"], { watched: true, input: "n\n" });
    expect(everything.err).toContain("Delete 5 objects (10 B), everything there is? [y/N] ");
    const done = await served.run(["rm", "-r", "runs"], { watched: true, input: "y\n" });
    expect(done).toMatchObject({ exit: 0, err: expect.stringContaining("Deleted 4 objects.") });
  });

  test("does not ask for a few, nor against --yes, nor where nobody sits", async () => {
    const few = await served.run(["rm", "-r", "runs/1"], { watched: true });
    expect(few).toMatchObject({ exit: 0, err: expect.not.stringContaining("[y/N]") });
    for (const key of ["runs/1/x", "runs/1/y", "runs/1"]) await served.rig.put(key, "12");
    const sure = await served.run(["rm", "-ry", "runs"], { watched: true });
    expect(sure).toMatchObject({ exit: 0, err: expect.stringContaining("Deleted 4 objects.") });
    expect(sure.err).not.toContain("[y/N]");
  });

  test("asks for each one with -i, and deletes those", async () => {
    const { exit, err } = await served.run(["rm", "-ri", "runs"], { input: "y\nno\nyes\n\n" });
    expect(exit).toBe(0);
    expect(err).toContain("Delete runs/1? [y/N] Delete runs/1/x? [y/N] ");
    expect(err).toContain("Deleted 2 objects.");
    expect(await keys()).toEqual(["a", "runs/1/x", "runs/2/z"]);
  });
});

describe("a bucket that an S3 client made", () => {
  async function makeBucket(name: string, count: number): Promise<void> {
    await served.rig.coordinator.createBucket(rigCtx, { name });
    for (let index = 0; index < count; index++) await served.rig.put(`${name}/${index}`, "1");
  }

  test("goes with everything in it, and only with it", async () => {
    await makeBucket("photos", 60);
    await makeBucket("empty", 0);
    const refused = await served.run(["rm", "photos/"]);
    expect(refused).toMatchObject({
      exit: 6,
      err: expect.stringContaining("photos is a bucket with settings, and not empty"),
    });
    expect(await served.run(["rm", "-r", "photos"])).toMatchObject({
      exit: 0,
      err: expect.stringMatching(/^Deleted 61 objects\.\n/),
    });
    expect(await served.rig.coordinator.findBucket(rigCtx, "photos")).toBeUndefined();
    expect(await served.run(["rm", "-r", "--all"])).toMatchObject({ exit: 0 });
    expect(await served.run(["ls", "--json"])).toMatchObject({ out: "[]\n" });
  });

  test("has no nameless entry in listings", async () => {
    await makeBucket("photos", 2);
    await served.run(["object", "put", "photos/sub/deep"], { input: "1" });
    expect((await served.run(["ls", "photos"])).out).toBe("0\n1\nsub/\n");
    expect((await served.run(["ls", "-R", "photos"])).out).toBe("0\n1\nsub/deep\n");
    expect((await served.run(["ls", "-l", "photos"])).out).toMatch(
      /^ *1 B {2}\S+ {2}0\n *1 B {2}\S+ {2}1\n *- {2}- +sub\/\n$/,
    );
    await makeBucket("empty", 0);
    expect(await served.run(["ls", "empty"])).toMatchObject({ exit: 0, out: "" });
    expect((await served.run(["ls", "-l"])).out).toMatch(/^ *- {2}- +empty\/\n/m);
    expect(JSON.parse((await served.run(["ls", "empty", "--json"])).out)).toEqual([]);
  });
});
