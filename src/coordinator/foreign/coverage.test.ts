import { beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx, throwIfAborted } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath, SiteName } from "../../core/ids.ts";
import { createFakeClock, type FakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryStore, type Site } from "../../stores/index.ts";
import { putBytes, type ScriptedStore, scriptedStore } from "../../stores/testing/scripted-store.ts";
import { type Coverage, createCoverage } from "./coverage.ts";

const ctx = backgroundCtx();
let clock: FakeClock;
let store: ScriptedStore;
let site: Site;
let coverage: Coverage;
/** What look-ups were answered from. */
let answers: string[];

beforeEach(() => {
  clock = createFakeClock();
  store = scriptedStore(createMemoryStore({}, { clock }));
  site = {
    name: "local" as SiteName,
    role: "primary",
    store,
    foreign: "merge",
    label: "local",
    listingStandsMs: 1_000,
  };
  answers = [];
  const add = (_amount: number, labels: Readonly<Record<string, string>> = {}): void =>
    void answers.push(labels["from"] as string);
  coverage = createCoverage({ clock, answers: { add } });
});

const lacks = async (path: string, at = site, lookCtx = ctx): Promise<boolean> =>
  await coverage.lacks(lookCtx, at, path as FilePath);
const look = async (count: number, path = "d/none"): Promise<boolean[]> => {
  const found: boolean[] = [];
  for (let time = 0; time < count; time++) found.push(await lacks(path));
  return found;
};

describe("names that a directory of a site lacks", () => {
  it("are known from a listing once three were looked up in it, and for as long as that stands", async () => {
    await putBytes(store, "d/there", "x");
    await putBytes(store, "d/below/x", "x");
    expect([await look(4), store.count("list")]).toEqual([[false, false, true, true], 1]);
    expect([await lacks("d/there"), await lacks("d/other"), await lacks("d/below/x")]).toEqual([false, true, false]);
    expect(answers.slice(0, 4)).toEqual(["site", "site", "listing", "listing"]);
    await clock.advance(999);
    expect(await lacks("d/none")).toBe(true);
    await clock.advance(1);
    expect([await look(3), store.count("list")]).toEqual([[false, false, true], 2]);
  });

  it("are those of each directory and site by itself, also at the root", async () => {
    await look(3);
    expect([await lacks("none"), await lacks("e/none"), store.count("list")]).toEqual([false, false, 1]);
    await look(2, "none");
    expect([await lacks("none"), store.count("list")]).toEqual([true, 2]);
    expect(await lacks("d/none", { ...site, name: "other" as SiteName })).toBe(false);
  });

  it("are never told of a site that says nothing of how long a listing stands", async () => {
    const { listingStandsMs: _, ...silent } = site;
    for (let time = 0; time < 5; time++) expect(await lacks("d/none", silent)).toBe(false);
    expect([store.count("list"), answers]).toEqual([0, []]);
  });

  it("are asked for one by one where there are more than a thousand", async () => {
    for (let index = 0; index < 1_001; index++) await putBytes(store, `d/${index}`, "");
    expect([await look(5), store.count("list")]).toEqual([[false, false, false, false, false], 1]);
  });

  it("stand from the beginning of the listing, not from its end", async () => {
    store.script.before = async ({ operation }) => {
      if (operation === "list") await clock.advance(1_000);
    };
    expect(await look(3)).toEqual([false, false, false]);
  });

  it("are waited for together while they are listed", async () => {
    await look(2);
    expect(await Promise.all([lacks("d/a"), lacks("d/b"), lacks("d/c")])).toEqual([true, true, true]);
    expect(store.count("list")).toBe(1);
  });

  it("are not known when the site cannot list, and it is asked for the names themselves", async () => {
    store.script.before = () => {
      throw new GfsError("Unavailable", "The site is away.");
    };
    expect(await look(5)).toEqual([false, false, false, false, false]);
  });

  it("are listed by the next who looks when the first has left meanwhile, whom nobody else hears of", async () => {
    const controller = new AbortController();
    store.script.before = async ({ operation, ctx: asked }) => {
      if (operation !== "list" || asked === undefined) return;
      await clock.advance(1);
      throwIfAborted(asked, "store.list");
    };
    await look(2);
    clock.timer(1, () => controller.abort());
    const left = lacks("d/a", site, backgroundCtx({ signal: controller.signal }));
    const other = lacks("d/b");
    expect(await Promise.allSettled([left, other])).toEqual([
      { status: "fulfilled", value: false },
      { status: "fulfilled", value: false },
    ]);
    expect([await look(3), store.count("list")]).toEqual([[false, false, true], 2]);
  });
});
