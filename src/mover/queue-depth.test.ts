import { afterEach, describe, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { silentLogger } from "../core/ports/log.ts";
import { seededRandom } from "../core/ports/random.ts";
import { type Kv, prefixRange, type Program, type Transaction } from "../kv/index.ts";
import { laneSpace, readySpace } from "./job-rows.ts";
import { dropJobs, enqueueJob, getJob, setJobState, settleJob, writeJob } from "./jobs.ts";
import { createMover } from "./mover.ts";
import { QueueDepth } from "./queue-depth.ts";
import { MoverRig } from "./testing/rig.ts";

let rig: MoverRig;
afterEach(async () => await rig.mover.stop());

const lanes = async (): Promise<number> =>
  (await rig.kv.view((tx) => tx.range({ ...prefixRange(laneSpace), limit: 10_000 }))).length;

async function enqueue(count: number): Promise<JobId[]> {
  const ids = Array.from({ length: count }, () => rig.nextJobId());
  for (const id of ids) {
    const spec = {
      kind: "verify" as const,
      path: `file-${id}` as FilePath,
      inode: 99 as Inode,
      versionId: "v" as VersionId,
      site: "cloud" as SiteName,
      key: "k",
      sizeBytes: 1,
      priority: 10,
    };
    await rig.kv.transact((tx) => enqueueJob(tx, spec, { id, nowMs: 1 }));
  }
  return ids;
}

describe("the number of jobs that are not finished", () => {
  it("is that of their rows, however many there were when it was first asked for", async () => {
    rig = await new MoverRig(["local", "cloud"]).start();
    await rig.mover.stop();
    const ids = await enqueue(2_100);
    const depth = new QueueDepth(rig.kv, silentLogger);
    expect([depth.latest, await depth.get(), depth.latest]).toEqual([0, 2_100, 2_100]);
    await rig.kv.transact((tx) => dropJobs(tx, ids.slice(0, 20)));
    await rig.kv.transact((tx) => setJobState(tx, ids[20] as JobId, { state: "paused", nowMs: 1 }));
    await rig.kv.transact((tx) => setJobState(tx, ids[21] as JobId, { state: "canceled", nowMs: 1 }));
    expect([await depth.get(), await lanes()]).toEqual([2_079, 2_079]);
  });

  it("is that of those which are ready, where these are asked for: not of one that waits for its time or is held", async () => {
    rig = await new MoverRig(["local", "cloud"]).start();
    await rig.mover.stop();
    const [first, second, third] = (await enqueue(5)) as [JobId, JobId, JobId];
    const ready = new QueueDepth(rig.kv, silentLogger, readySpace);
    const change = async (program: (tx: Transaction) => Program<unknown>): Promise<number> => {
      await rig.kv.transact(program);
      return await ready.get();
    };
    expect(await ready.get()).toBe(5);
    const later = { state: "waiting" as const, nowMs: 1, notBeforeMs: 1_000 };
    expect(await change((tx) => settleJob(tx, first, later))).toBe(4);
    expect(await change((tx) => setJobState(tx, second, { state: "paused", nowMs: 1 }))).toBe(3);
    // A row that is written anew where it stands counts once.
    const upload = { uploadId: "u", partSizeBytes: 1 };
    const goOn = function* (tx: Transaction): Program<void> {
      const job = yield* getJob(tx, third);
      writeJob(tx, job, { ...job, upload });
    };
    expect([await change(goOn), await change(goOn)]).toEqual([3, 3]);
    expect(await change((tx) => setJobState(tx, second, { state: "waiting", nowMs: 1 }))).toBe(4);
    expect(await change((tx) => setJobState(tx, third, { state: "canceled", nowMs: 1 }))).toBe(3);
  });

  it("has what is made and what ends while it is counted, once", async () => {
    rig = await new MoverRig(["local", "cloud"]).start();
    await rig.mover.stop();
    const ids = await enqueue(3_000);
    const depth = new QueueDepth(rig.kv, silentLogger);
    const counted = depth.get();
    for (let index = 0; index < 200; index++) {
      await rig.kv.transact((tx) => dropJobs(tx, [ids[index * 10] as JobId]));
      await enqueue(2);
      if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await counted;
    expect([await depth.get(), await lanes()]).toEqual([3_200, 3_200]);
  });

  it("is no guess when it could not be counted: who asks is told, and the next one counts anew", async () => {
    rig = await new MoverRig(["local", "cloud"]).start();
    await rig.mover.stop();
    await enqueue(2);
    const snapshot = async (): Promise<never> => await Promise.reject(new GfsError("Unavailable", "It is closed."));
    const kv: Kv = { ...rig.kv, snapshot };
    const depth = new QueueDepth(kv, silentLogger);
    await expect(depth.get()).rejects.toMatchObject({ code: "Unavailable" });
    Object.assign(kv, { snapshot: rig.kv.snapshot });
    expect(await depth.get()).toBe(2);
  });

  it("is counted anew when it could not be followed", async () => {
    rig = await new MoverRig(["local", "cloud"]).start();
    await rig.mover.stop();
    const [id] = (await enqueue(1)) as [JobId];
    let cutOff = false;
    const kv: Kv = {
      ...rig.kv,
      async *watch(range, options) {
        for await (const batch of rig.kv.watch(range, options)) {
          if (cutOff) throw new GfsError("Overloaded", "The watcher is too slow.");
          yield batch;
        }
      },
    };
    const depth = new QueueDepth(kv, silentLogger);
    expect(await depth.get()).toBe(1);
    cutOff = true;
    await rig.kv.transact((tx) => setJobState(tx, id, { state: "canceled", nowMs: 1 }));
    await enqueue(4);
    await depth.get();
    cutOff = false;
    expect([await depth.get(), await lanes()]).toEqual([4, 4]);
    await enqueue(1);
    expect(await depth.get()).toBe(5);
  });

  it.each([1, 2, 3])(
    "is right for each of two coordinators, whatever they do and whichever dies (seed %i)",
    async (seed) => {
      const random = seededRandom(seed);
      rig = await new MoverRig(["local", "cloud", "tape"], { maxConcurrentTransfers: 3 }).start();
      let other = createMover(rig.deps, rig.config);
      for (let step = 0; step < 80; step++) {
        const name = `file${Math.floor(random.fraction() * 8)}`;
        const action = random.fraction();
        if (action < 0.5) await rig.put(name, `${step}`);
        else if (action < 0.65) await rig.remove(name);
        else if (action < 0.75) await rig.restart();
        else if (action < 0.8) other = createMover(rig.deps, rig.config);
        else if (action < 0.9) {
          const [job] = (await rig.jobs()).filter(({ state }) => state === "waiting" || state === "paused");
          if (job !== undefined) await (job.state === "paused" ? other.resume(job.id) : other.pause(job.id));
        } else await rig.clock.advance(500);
        // Jobs go on meanwhile: at the end of their work all say the same.
        await rig.until(async () => {
          const [one, two, rows] = [await rig.mover.depth(), await other.depth(), await lanes()];
          return one === rows && two === rows;
        });
      }
    },
  );
});
