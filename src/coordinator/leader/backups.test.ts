import { gunzipSync } from "node:zlib";
import { beforeEach, describe, expect, it } from "vitest";
import type { Logger } from "../../core/ports/log.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { createMemoryKv } from "../../kv/index.ts";
import { loadCatalog } from "../../meta/index.ts";
import { assemblyFor, rigCtx } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";
import type { BackupSettings } from "../kit.ts";

const HOUR = 3_600_000;
const PREFIX = ".globalfs/backups/test/";

let rig: TimedRig<"local" | "cloud">;
let errors: string[];
/** Of a thread's work, on a machine that does other things. */
const LONGEST_MS = 10_000;

const start = async (backup: BackupSettings): Promise<void> => {
  errors = [];
  const log: Logger = { ...silentLogger, error: (event) => errors.push(event) };
  const { settings } = assemblyFor(createMemoryKv());
  rig = await startTimed(
    { local: "primary", cloud: "burst" },
    { overrides: { log, settings: { ...settings, backup } } },
  );
};
const backups = async (site: "local" | "cloud"): Promise<string[]> =>
  (await rig.sites[site].list(rigCtx, { prefix: PREFIX, limit: 1_000 })).objects.map(({ key }) => key);
/** What is awaited off the clock, such as compression, has its turn. */
const after = async (durationMs: number, isDone: () => Promise<boolean>): Promise<void> => {
  await rig.clock.advance(durationMs);
  const until = performance.now() + LONGEST_MS;
  while (!(await isDone()) && performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
  expect(await isDone()).toBe(true);
};
const info = async () => (await rig.coordinator.info(rigCtx)).backup;

describe("the leader's backups", () => {
  beforeEach(async () => await start({ everyMs: HOUR, keep: 2, sites: [] }));

  it("go to the primaries as often as was said, and the newest stay", async () => {
    await rig.put("a", "1");
    expect(await info()).toEqual({});
    await after(600_000, async () => (await info())?.last !== undefined);
    const [first] = await backups("local");
    for (const count of [2, 3]) {
      const before = (await info())?.last?.key;
      await after(HOUR, async () => (await info())?.last?.key !== before);
      expect(await backups("local")).toHaveLength(Math.min(count, 2));
    }
    expect(await backups("local")).not.toContain(first);
    expect(await backups("cloud")).toEqual([]);
    expect(
      (await rig.coordinator.listObjects(rigCtx, { prefix: "", limit: 10 })).objects.map(({ key }) => key),
    ).toEqual(["a"]);
  });

  it("hold the whole catalog", async () => {
    await rig.put("a", "1");
    await after(600_000, async () => (await info())?.last !== undefined);
    const [key] = await backups("local");
    const pieces: Uint8Array[] = [];
    for await (const piece of (await rig.sites.local.get(rigCtx, key as string)).stream)
      pieces.push(Uint8Array.from(piece));
    const kv = createMemoryKv();
    const lines = gunzipSync(Buffer.concat(pieces));
    await loadCatalog(
      kv,
      (async function* () {
        yield lines;
      })(),
    );
    expect(lines.toString()).toContain('"name":"a"');
    expect(await info()).toMatchObject({
      last: { key, sites: ["local"], sizeBytes: Buffer.concat(pieces).byteLength },
    });
  });

  it("that fail are told loudly, tried again soon, and take nothing away from those that are there", async () => {
    await after(600_000, async () => (await info())?.last !== undefined);
    const before = await backups("local");
    rig.sites.local.failing.add("commit");
    await after(HOUR, async () => (await info())?.failure !== undefined);
    expect(errors).toEqual(["backup_failed"]);
    expect((await info())?.failure?.error).toContain("No site took the backup. local: The site is away");
    expect(await backups("local")).toEqual(before);
    rig.sites.local.failing.delete("commit");
    await after(300_000, async () => (await info())?.failure === undefined);
    expect(await backups("local")).toHaveLength(2);
  });
});

describe("backups to sites that are named", () => {
  it("go there, and where one does not take them the others have them", async () => {
    await start({ everyMs: HOUR, keep: 2, sites: ["cloud", "local"] });
    rig.sites.local.failing.add("write");
    await after(600_000, async () => (await info())?.last !== undefined);
    expect(await info()).toMatchObject({
      last: { sites: ["cloud"] },
      failure: { error: expect.stringContaining("local: ") },
    });
    expect([await backups("cloud"), await backups("local")]).toEqual([[expect.stringContaining(PREFIX)], []]);
  });

  it("say it when one of them is not there", async () => {
    await start({ everyMs: HOUR, keep: 2, sites: ["cloud", "moon"] });
    await after(600_000, async () => (await info())?.failure !== undefined);
    expect((await info())?.failure?.error).toBe("There is no site moon, which coordinator.backup.sites names.");
    expect(await backups("cloud")).toHaveLength(1);
  });
});
