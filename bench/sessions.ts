/**
 * What sessions cost those who change the tree, beside the same changes without them, in the same run; and how fast they get and give what they may have.
 *
 *   npm run bench -- sessions [--sessions 1000] [--rounds 5] [--seconds 1]
 */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type Inode, ROOT_INODE } from "../src/core/ids.ts";
import { momentOf } from "../src/core/moment.ts";
import { systemClock } from "../src/core/ports/clock.ts";
import { silentLogger } from "../src/core/ports/log.ts";
import { noMetrics } from "../src/core/ports/metrics.ts";
import { systemRandom } from "../src/core/ports/random.ts";
import { type Kv, openLmdbKv } from "../src/kv/index.ts";
import { initialize, posix } from "../src/namespace/index.ts";
import { coherentKv, createSessions, type OpenedSession, type Sessions } from "../src/sessions/index.ts";
import { anonymousMiB } from "./lib/memory.ts";
import { median, printComparison } from "./lib/report.ts";

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "1000" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
  },
});
const many = Number(values.sessions);
const rounds = Number(values.rounds);
const durationMs = Number(values.seconds) * 1_000;

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const kv = await openLmdbKv({ path: path.join(directory, "catalog") });
await kv.transact((tx) => initialize(tx, 0));
let inode = 100;
let uid = 0;

const sessions = createSessions({
  kv,
  clock: systemClock,
  random: systemRandom,
  log: silentLogger,
  metrics: noMetrics,
  config: {
    identity: "bench",
    ttlMs: 600_000,
    leaseMs: 60_000,
    recallMs: 10_000,
    isShared: false,
    maxSessions: 100_000,
    maxCovered: 1_000_000,
    maxLocks: 10_000,
  },
});
const coherent = coherentKv(kv, sessions);

try {
  await sessions.start();
  const [quiet, busy] = [await makeDirectory("quiet"), await makeDirectory("busy")];
  const [alone, watched] = [await makeFile(quiet), await makeFile(busy)];
  await compareChanges("a change, nobody has a session", alone);
  const holders = await Promise.all(Array.from({ length: many }, () => open(sessions)));
  for (const each of holders) await sessions.cover({ ...each, inodes: [], under: busy });
  await compareChanges(`a change that nobody of ${many} covers`, alone);
  await tellChanges(watched);
  await tellRates(holders[0] as OpenedSession);
  await tellMemory(holders[0] as OpenedSession);
} finally {
  await sessions.stop();
  await kv.close();
  await rm(directory, { recursive: true });
}

async function makeDirectory(name: string): Promise<Inode> {
  const request = { parent: ROOT_INODE, name, mode: 0o777, uid: 0, gid: 0, now: momentOf(0), nextInode };
  return (await kv.transact((tx) => posix.mkdir(tx, request))).inode;
}

async function makeFile(parent: Inode): Promise<Inode> {
  const request = {
    parent,
    name: "f",
    mode: 0o777,
    uid: 0,
    gid: 0,
    now: momentOf(0),
    kind: "file" as const,
    nextInode,
  };
  return (await kv.transact((tx) => posix.mknod(tx, request))).inode;
}

function nextInode(): Inode {
  return ++inode as Inode;
}

/** Acknowledges at once. */
async function open(to: Sessions): Promise<OpenedSession> {
  const opened = await to.open({ host: "bench" });
  to.attach(opened, { push: ({ revision }) => to.acknowledge(opened, revision) });
  return opened;
}

async function change(through: Kv, file: Inode, durability: "visible" | "durable"): Promise<void> {
  uid += 1;
  const request = { inode: file, uid, now: momentOf(uid) };
  await through.transact((tx) => posix.setattr(tx, request), { durability });
}

async function perSecond(work: () => Promise<void>, parallel = 1): Promise<number> {
  const startMs = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - startMs < durationMs) {
      await work();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return (count / (performance.now() - startMs)) * 1_000;
}

async function compareChanges(what: string, file: Inode): Promise<void> {
  for (const [durability, parallel] of [
    ["visible", 1],
    ["durable", 64],
  ] as const) {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      theirs.push(await perSecond(async () => await change(kv, file, durability), parallel));
      ours.push(await perSecond(async () => await change(coherent, file, durability), parallel));
    }
    const at = `${what}, ${durability}, ${parallel} at once`;
    printComparison({ what: at, unit: "/s", ours, peer: "without", theirs, goal: 0.95 });
  }
}

/** One push each, and one wait. */
async function tellChanges(file: Inode): Promise<void> {
  const takenMs: number[] = [];
  for (let round = 0; round < 200; round++) {
    const startMs = performance.now();
    await change(coherent, file, "visible");
    takenMs.push(performance.now() - startMs);
  }
  takenMs.sort((one, other) => one - other);
  const middle = median(takenMs);
  const p99 = takenMs[Math.floor(takenMs.length * 0.99)] as number;
  const each = ((middle / many) * 1_000).toFixed(2);
  console.log(
    `a change that ${many} cover, told and acknowledged: median ${middle.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${each} us a session`,
  );
}

async function tellRates(session: OpenedSession): Promise<void> {
  const rate = (value: number): string => Math.round(value).toLocaleString("en");
  let next = 1_000_000;
  const covers = await perSecond(async () => {
    await sessions.cover({ ...session, inodes: [], under: ++next as Inode });
  });
  const renewals = await perSecond(async () => void sessions.keepAlive(session, 0));
  const lock = { ...session, inode: 7 as Inode, kind: "posix" as const, mode: "exclusive" as const };
  const signal = new AbortController().signal;
  let owner = 0;
  const lockOnce = async (): Promise<void> => {
    const mine = { ...lock, owner: `p${++owner % 500}`, start: owner % 500, end: (owner % 500) + 1 };
    await sessions.lock(mine, { wait: true, signal });
    await sessions.unlock(mine);
  };
  const one = await perSecond(lockOnce);
  const atOnce = await perSecond(lockOnce, 64);
  console.log(`directories covered ${rate(covers)}/s, kept alive ${rate(renewals)}/s`);
  console.log(`locked and unlocked, durable: ${rate(one)}/s one at a time, ${rate(atOnce)}/s with 64 at once`);
}

async function tellMemory(session: OpenedSession): Promise<void> {
  const before = anonymousMiB();
  for (let index = 0; index < 100_000; index += 1_000) {
    const inodes = Array.from({ length: 1_000 }, (_, at) => (10_000_000 + index + at) as Inode);
    await sessions.cover({ ...session, inodes });
  }
  const covered = anonymousMiB();
  await Promise.all(Array.from({ length: 10_000 }, () => open(sessions)));
  const opened = anonymousMiB();
  console.log(
    `memory: 100,000 files covered one by one ${(covered - before).toFixed(1)} MiB, 10,000 idle sessions ${(opened - covered).toFixed(1)} MiB`,
  );
}
