import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFailed, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/core/ports/clock.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type Daemon, spawnDaemon, startDaemon } from "./support/daemon.ts";
import { connect, type ObjectCalls } from "./support/object-calls.ts";
import { faultsAtRest } from "./support/stopped-catalog.ts";
import { createWriter } from "./support/writer.ts";

/**
 * kill -9 at moments that a seed chooses, while clients write, overwrite, delete and rename and replication runs. `GLOBALFS_KILLS` and
 * `GLOBALFS_KILL_SEED` repeat a run.
 */
const KILLS = Number(process.env["GLOBALFS_KILLS"] ?? (process.env["GLOBALFS_LONG"] === "1" ? 200 : 25));
const SEED = Number(process.env["GLOBALFS_KILL_SEED"] ?? Math.floor(Math.random() * 1e6));
const WRITERS = 5;
const CHECK_EVERY = 10;
const LONGEST_RUN_MS = 700;
const LONGEST_START_MS = 300;
const SETTLE_TIMEOUT_MS = 60_000;
const SITES = ["onprem", "cloud"];

test(
  `no acknowledged write is lost, no delete undone and no job forgotten over ${KILLS} kills`,
  { timeout: 60_000 + KILLS * 10_000 },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "globalfs-kill-"));
    const random = seededRandom(SEED);
    const config = await writeConfiguration(directory, [fileSite("onprem", "primary"), fileSite("cloud", "burst")], {
      cache: { enabled: true },
    });
    const options = { directory, words: ["coordinator", "start", "--config", config] };
    const writers = Array.from({ length: WRITERS }, (_, index) =>
      createWriter(`w${index}`, seededRandom(SEED * 100 + index)),
    );
    let last: Daemon | undefined;
    onTestFinished(async () => void (await last?.stop("SIGKILL")));
    onTestFailed(async () => {
      await writeFile(join(directory, "history.txt"), writers.flatMap((writer) => writer.history()).join("\n"));
      console.error(
        `GLOBALFS_KILL_SEED=${SEED}; the disks are kept in ${directory}; the last daemon said:\n${last?.log().slice(-4_000)}`,
      );
    });

    const wasUnanswered = (key: string, body: Buffer): boolean =>
      writers.some((writer) => writer.wasUnanswered(key, body));
    const checkAtRest = async (): Promise<void> => {
      const daemon = await startDaemon(options);
      last = daemon;
      const calls = connect(daemon.url);
      for (const writer of writers) await writer.verify(calls, 1);
      await settled(calls);
      await calls.close();
      expect(await daemon.stop()).toEqual({ code: 0, signal: null });
      const expected = new Map(writers.flatMap((writer) => [...writer.objects()]));
      expect(await faultsAtRest(directory, SITES, expected, wasUnanswered)).toEqual([]);
    };

    let acknowledged = 0;
    let early = 0;
    for (let kills = 1; kills <= KILLS; kills++) {
      const daemon = spawnDaemon(options);
      last = daemon;
      if (random.fraction() < 0.15) {
        early += 1;
        await systemClock.sleep(random.fraction() * LONGEST_START_MS);
        await daemon.stop("SIGKILL");
      } else {
        const calls = connect(await daemon.ready);
        for (const writer of writers) await writer.verify(calls, 0.6);
        const killed = new AbortController();
        const work = Promise.all(writers.map(async (writer) => await writer.work(calls, killed.signal)));
        await Promise.race([work, systemClock.sleep(random.fraction() * LONGEST_RUN_MS)]);
        killed.abort();
        await daemon.stop("SIGKILL");
        acknowledged += (await work).reduce((sum, count) => sum + count, 0);
        await calls.close();
        expect(
          daemon
            .log()
            .split("\n")
            .filter((line) => /"level":"error"/.test(line)),
        ).toEqual([]);
      }
      if (kills % CHECK_EVERY === 0 || kills === KILLS) await checkAtRest();
    }
    console.info(
      `${KILLS} kills, ${early} of them during the start; ${acknowledged} operations acknowledged (seed ${SEED})`,
    );
    expect(acknowledged).toBeGreaterThan(KILLS);
    await rm(directory, { recursive: true });
  },
);

/** Until no job waits or runs; a job that gave up is a lost one. */
async function settled(calls: ObjectCalls): Promise<void> {
  const untilMs = systemClock.monotonicMs() + SETTLE_TIMEOUT_MS;
  for (let quiet = 0; quiet < 3;) {
    if (systemClock.monotonicMs() > untilMs) {
      throw new Error(`Jobs did not settle: ${JSON.stringify(await jobsIn(calls, "waiting"))}`);
    }
    const open = [...(await jobsIn(calls, "waiting")), ...(await jobsIn(calls, "running"))];
    quiet = open.length === 0 ? quiet + 1 : 0;
    await systemClock.sleep(100);
  }
  expect(await jobsIn(calls, "failed")).toEqual([]);
}

/** A page that was filtered may be short, or empty, and have a next one all the same. */
async function jobsIn(calls: ObjectCalls, state: string): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  let next = "";
  do {
    const page = (await calls.json(`/api/v1/jobs?state=${state}&limit=1000${next}`)) as JobPage;
    found.push(...page.jobs);
    next = page.continuation === undefined ? "" : `&continuation=${encodeURIComponent(page.continuation)}`;
  } while (next !== "");
  return found;
}

interface JobPage {
  readonly jobs: readonly unknown[];
  readonly continuation?: string;
}
