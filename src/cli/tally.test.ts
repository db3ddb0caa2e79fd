import { PassThrough } from "node:stream";
import { GlobalFsError } from "@globalfs/client";
import { describe, expect, test } from "vitest";
import { GfsError } from "../core/errors.ts";
import { createContext } from "./context.ts";
import { countFailure, countText, leaveOut, type Tally, type TallyWords, withTally } from "./tally.ts";

const WORDS: TallyWords = {
  done: ({ done }) => `Did ${countText(done, "thing")}`,
  json: ({ done }) => ({ doneThings: done }),
  pending: (sites) => `Later at ${sites}.`,
};

async function report(work: (tally: Tally) => void, options: { json?: boolean; words?: TallyWords } = {}) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const context = createContext(
    { stdin, stdout, stderr, env: {} },
    { json: options.json === true },
    new AbortController().signal,
  );
  const outcome = await withTally(context, options.words ?? WORDS, (tally) => Promise.resolve(work(tally))).catch(
    (error: unknown) => error,
  );
  return { outcome, out: String(stdout.read() ?? ""), err: String(stderr.read() ?? "") };
}

const notFound = (key: string): GfsError => new GfsError("NotFound", `There is no ${key}.`);

describe("a tally", () => {
  test("of success is one line", async () => {
    expect(await report((tally) => (tally.done = 1))).toEqual({ outcome: undefined, out: "", err: "Did 1 thing.\n" });
    expect((await report((tally) => (tally.done = 2))).err).toBe("Did 2 things.\n");
    expect((await report(() => undefined)).err).toBe("Did 0 things.\n");
  });

  test("names what failed and what was left out, and is partial", async () => {
    const said = await report((tally) => {
      tally.done = 3;
      countFailure(tally, "a", notFound("a"));
      countFailure(tally, "b\u001b", new GfsError("KeyTooLong", "It is too long.\nReally."));
      leaveOut(tally, { name: "c", code: "NotAFile", reason: "c was left out." });
    });
    expect(said.outcome).toBe(7);
    expect(said.err).toBe(
      "c was left out.\nThere is no a.\nb\\u{1b}: It is too long.\\u{a}Really.\nDid 3 things, 1 left out, 2 failed.\n",
    );
  });

  test("of nothing but failures of one kind has their exit code, of several kinds it is partial", async () => {
    const same = await report((tally) => ["a", "b"].forEach((key) => countFailure(tally, key, notFound(key))));
    expect(same.outcome).toBe(4);
    const mixed = await report((tally) => {
      countFailure(tally, "a", notFound("a"));
      countFailure(tally, "b", new GfsError("Conflict", "b changed."));
    });
    expect(mixed.outcome).toBe(7);
    const leftOut = await report((tally) => {
      ["a", "b"].forEach((key) => countFailure(tally, key, notFound(key)));
      leaveOut(tally, { name: "c", code: "x", reason: "c" });
    });
    expect(leftOut.outcome).toBe(7);
    expect((await report((tally) => leaveOut(tally, { name: "c", code: "x", reason: "c" }))).outcome).toBe(7);
  });

  test("of one failure alone is that failure", async () => {
    const error = notFound("a");
    expect(await report((tally) => countFailure(tally, "a", error))).toEqual({ outcome: error, out: "", err: "" });
    expect((await report((tally) => countFailure(tally, "a", error), { json: true })).out).toBe("");
  });

  test("names the first twenty and counts the others", async () => {
    const { err } = await report((tally) => {
      for (let index = 0; index < 25; index++) countFailure(tally, `k${index}`, notFound(`k${index}`));
      for (let index = 0; index < 22; index++) leaveOut(tally, { name: `l${index}`, code: "x", reason: `l${index}` });
    });
    expect(err.split("\n").filter((line) => line.startsWith("There is no k"))).toHaveLength(20);
    expect(err.split("\n").filter((line) => /^l\d+$/.test(line))).toHaveLength(20);
    expect(err).toContain("\n7 more are not named here.\nDid 0 things, 22 left out, 25 failed.\n");
  });

  test("says which sites were not seen, and is partial for that", async () => {
    const said = await report((tally) => {
      tally.done = 1;
      tally.unseenSites.set("cloud", "It is away.");
    });
    expect(said.outcome).toBe(7);
    expect(said.err).toBe(
      "Keys that only site cloud has may be missing here, because it could not be asked: It is away.\nDid 1 thing.\n",
    );
    const failed = await report((tally) => {
      tally.unseenSites.set("cloud", "It is away.");
      countFailure(tally, "a", notFound("a"));
    });
    expect(failed.outcome).toBe(7);
  });

  test("says what is pending, which is a success where jobs do it and none where nobody does", async () => {
    const work = (tally: Tally): void => {
      tally.done = 1;
      tally.pendingSites.add("b").add("c");
    };
    expect(await report(work)).toMatchObject({ outcome: undefined, err: "Did 1 thing.\nLater at b, c.\n" });
    expect((await report(work, { words: { ...WORDS, pendingIsPartial: true } })).outcome).toBe(7);
    expect((await report(() => undefined, { words: { ...WORDS, pendingIsPartial: true } })).outcome).toBeUndefined();
  });

  test("is JSON where that is asked for, and all of it", async () => {
    const { out, err, outcome } = await report(
      (tally) => {
        tally.done = 1;
        tally.pendingSites.add("b");
        tally.unseenSites.set("c", "Away.");
        countFailure(tally, "k", notFound("k"));
        leaveOut(tally, { name: "l", code: "NotAFile", reason: "l is none." });
      },
      { json: true },
    );
    expect([outcome, err]).toEqual([7, ""]);
    expect(JSON.parse(out)).toEqual({
      done_things: 1,
      failed: 1,
      failures: [{ name: "k", code: "NotFound", reason: "There is no k." }],
      left_out: 1,
      omissions: [{ name: "l", code: "NotAFile", reason: "l is none." }],
      pending_sites: ["b"],
      failed_sites: [{ site: "c", error: "Away." }],
    });
  });

  test("ends when the others would fail in the same way, and says what was done till then", async () => {
    for (const code of ["Unreachable", "Unauthenticated", "Canceled"]) {
      const error = new GlobalFsError(code, "No more.");
      const said = await report((tally) => {
        tally.done = 2;
        countFailure(tally, "a", error);
      });
      expect(said).toEqual({ outcome: error, out: "", err: "Did 2 things.\n" });
      const nothing = await report((tally) => countFailure(tally, "a", error));
      expect(nothing).toEqual({ outcome: error, out: "", err: "" });
    }
    for (const part of [{ failed: 1 }, { leftOut: 1 }]) {
      const { err } = await report((tally) => {
        Object.assign(tally, part);
        throw new Error("end");
      });
      expect(err).toMatch(/^(1 more are not named here\.\n)Did 0 things, 1 (failed|left out)\.\n$/);
    }
  });
});
