import { expect, onTestFinished, test } from "vitest";
import { putForeign, type Rig, rigCtx, type RigSite, startRig } from "../../src/coordinator/testing/rig.ts";
import { createFakeClock } from "../../src/core/testing/fake-clock.ts";
import { createMemoryKv, type Kv } from "../../src/kv/index.ts";
import { createMemoryStore, type Store } from "../../src/stores/index.ts";
import { codeOf } from "./setting.ts";

/** What may be said of a site's objects without asking it. */

interface Counted {
  readonly store: Store;
  /** HEADs below a prefix, and listings, which end with a star. */
  asked(prefix: string): number;
  forget(): void;
}

function counted(inner: Store = createMemoryStore()): Counted {
  let asked: string[] = [];
  const head: Store["head"] = async (ctx, key) => {
    asked.push(key);
    return await inner.head(ctx, key);
  };
  const list: Store["list"] = async (ctx, query) => {
    if (!query.prefix?.startsWith(".globalfs/")) asked.push(`${query.prefix ?? ""}*`);
    return await inner.list(ctx, query);
  };
  const counting = { head, list } as Partial<Store>;
  const store = new Proxy(inner, {
    get(target, name: keyof Store) {
      const own = counting[name] ?? target[name];
      return typeof own === "function" ? (own as () => unknown).bind(target) : own;
    },
    set(_target, name, value: never) {
      return Reflect.set(counting, name, value);
    },
  });
  return {
    store,
    asked: (prefix) => asked.filter((key) => key.startsWith(prefix)).length,
    forget: () => void (asked = []),
  };
}

async function start(
  site: Partial<RigSite> & { readonly store: Store },
  more: { kv?: Kv; clock?: ReturnType<typeof createFakeClock> } = {},
): Promise<Rig> {
  const rig = await startRig({ sites: [{ name: "local", role: "primary", ...site }], ...more });
  onTestFinished(async () => await rig.stop());
  return rig;
}

async function importedOf({ coordinator }: Rig): Promise<boolean> {
  const [site] = await coordinator.listSites(rigCtx);
  return site?.imported?.doneMs !== undefined;
}

test("F6 Of a site of `foreign: import` everything is taken in once; then the catalog answers alone, and the site is never asked", async () => {
  const local = counted();
  for (let index = 0; index < 30; index++) await putForeign(local.store, `d/${index}`, `from before ${index}`);
  const kv = createMemoryKv();
  const first = await start({ store: local.store, foreign: "import" }, { kv });
  await expect.poll(async () => await importedOf(first)).toBe(true);
  const [status] = await first.coordinator.listSites(rigCtx);
  expect(status).toMatchObject({ foreign: "import", imported: { adopted: 30, refused: 0 } });
  await first.put("own", "ours");
  await putForeign(local.store, "late", "by another tool");
  local.forget();
  expect(await first.read("d/7")).toBe("from before 7");
  expect([await codeOf(first.read("nothing")), await codeOf(first.read("late"))]).toEqual(["NotFound", "NotFound"]);
  const { objects } = await first.coordinator.listObjects(rigCtx, { limit: 1_000 });
  expect(objects.length).toBe(31);
  expect(["late", "nothing", "*", "d/", "e/"].map((prefix) => local.asked(prefix))).toEqual([0, 0, 0, 0, 0]);
  await first.coordinator.rename(rigCtx, { from: "d/", to: "e/" });
  expect(await first.read("e/7")).toBe("from before 7");
  expect([local.asked("d/*"), local.asked("e/*")]).toEqual([0, 0]);
  // It is remembered, and what came later is taken in when somebody says so.
  await first.stop();
  const again = await start({ store: local.store, foreign: "import" }, { kv });
  local.forget();
  expect(await codeOf(again.read("late"))).toBe("NotFound");
  expect(local.asked("late")).toBe(0);
  for await (const _ of again.coordinator.importSite(rigCtx, { site: "local", prefix: "" }));
  expect(await again.read("late")).toBe("by another tool");
});

test("F6 Until the import has come to its end the site is asked as others are", async () => {
  const local = createMemoryStore();
  await putForeign(local, "d/1", "from before");
  const inner = counted(local).store;
  let open: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (open = resolve));
  const list = inner.list.bind(inner);
  inner.list = async (ctx, query) => {
    if (query.prefix === "" && query.delimiter === undefined) await held;
    return await list(ctx, query);
  };
  const rig = await start({ store: inner, foreign: "import" });
  expect(await rig.read("d/1")).toBe("from before");
  await putForeign(local, "d/2", "while it goes on");
  expect(await rig.read("d/2")).toBe("while it goes on");
  expect(await importedOf(rig)).toBe(false);
  open();
  await expect.poll(async () => await importedOf(rig)).toBe(true);
});

test("F7 While a listing of a directory stands, names that it lacks cost no request, and are found when its time is over", async () => {
  const clock = createFakeClock();
  const local = counted(createMemoryStore({}, { clock }));
  const kv = createMemoryKv({ clock });
  const rig = await start({ store: local.store, listingStandsMs: 10_000 }, { kv, clock });
  await putForeign(local.store, "d/there", "by another tool");
  local.forget();
  for (let index = 0; index < 100; index++) expect(await codeOf(rig.read(`d/lib${index}.so`))).toBe("NotFound");
  expect(local.asked("d/")).toBe(3);
  expect(await rig.read("d/there")).toBe("by another tool");
  expect(local.asked("d/there")).toBeGreaterThan(0);
  await putForeign(local.store, "d/lib5.so", "new");
  expect(await codeOf(rig.read("d/lib5.so"))).toBe("NotFound");
  // Who writes on a condition has to know better.
  const conditions = { ifNoneMatch: ["*"] };
  expect(await codeOf(rig.put("d/lib5.so", "ours", { conditions }))).toBe("PreconditionFailed");
  await clock.advance(10_001);
  await putForeign(local.store, "d/lib6.so", "newer");
  expect(await rig.read("d/lib6.so")).toBe("newer");
});

test("F7 Without a time for it, and in a directory with too many names, each name is asked for", async () => {
  const local = counted();
  const strict = await start({ store: local.store });
  local.forget();
  for (let index = 0; index < 10; index++) expect(await codeOf(strict.read(`d/${index}`))).toBe("NotFound");
  expect(local.asked("d/")).toBe(10);
  const large = counted();
  for (let index = 0; index < 1_001; index++) await putForeign(large.store, `d/${index}`, "x");
  const rig = await start({ store: large.store, listingStandsMs: 60_000 });
  large.forget();
  for (let index = 0; index < 10; index++) expect(await codeOf(rig.read(`d/no${index}`))).toBe("NotFound");
  expect(large.asked("d/")).toBe(11);
  await putForeign(large.store, "d/no11", "there");
  expect(await rig.read("d/no11")).toBe("there");
});
