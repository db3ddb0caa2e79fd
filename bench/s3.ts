/**
 * The S3 endpoint beside radosgw, s3rver and a bare node:http, with one client, in one run. All data is in memory (`--directory`), one copy
 * each, so that no disk's speed is measured and a flush costs nobody anything.
 *
 *   npm run bench -- s3 [--cells get,put,large,list,delete,memory,workers,sigv4,client] [--rounds 3] [--seconds 2] [--objects 100000]
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { generateRawLoad, type RawRequest } from "./lib/raw-client.ts";
import { median, printComparison } from "./lib/report.ts";
import { measureMemory } from "./lib/s3-memory.ts";
import { costOf, printCeiling, type RequestCost, usedByServer } from "./lib/request-cost.ts";
import { deleteRequest, presignedAddress, type SignedRequest, signedRequest } from "./lib/s3-requests.ts";
import { type S3Peer, startBareHttp, startOurs, startS3rver, startTheirRadosgw } from "./lib/s3-servers.ts";

const CELLS = ["client", "get", "put", "large", "list", "delete", "memory", "workers", "sigv4"] as const;
const { values } = parseArgs({
  options: {
    cells: { type: "string", default: CELLS.join(",") },
    peers: { type: "string", default: "radosgw,s3rver,bare" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    objects: { type: "string", default: "100000" },
    directory: { type: "string", default: existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir() },
  },
});
const cells = new Set(values.cells.split(","));
const unknown = [...cells].filter((cell) => !(CELLS as readonly string[]).includes(cell));
if (unknown.length > 0) throw new Error(`There is no cell ${unknown.join(", ")}. There are ${CELLS.join(", ")}.`);
const wanted = new Set(values.peers.split(","));
const rounds = Number(values.rounds);
const durationMs = Number(values.seconds) * 1_000;
const objects = Number(values.objects);

const BUCKET = "bench";
const SMALL = Buffer.alloc(4_096, 7);
const KEYS = 512;
/** More than any of them takes from this client. */
const MOST_PUTS_A_SECOND = 8_000;
const MIB = 1024 ** 2;
const LARGE_MIB = 64;
const PIECE = Buffer.alloc(MIB, 0x5a);
/** Its listing reads its whole directory each time, so that more would take minutes. */
const S3RVER_OBJECTS = 5_000;
const LOAD_GENERATOR = "/usr/bin/wrk";
const GOALS: Readonly<Record<string, number>> = { radosgw: 1, s3rver: 3, "bare node:http": 0.7 };

const directory = await mkdtemp(path.join(values.directory, "globalfs-bench-s3-"));
const stops: (() => Promise<void>)[] = [];
try {
  console.log(
    `Data below ${values.directory}, one copy each, nothing waits for a disk; ${rounds} rounds of ${values.seconds} s.`,
  );
  const ours = keep(await startOurs(directory));
  const peers: S3Peer[] = [ours];
  const radosgw = wanted.has("radosgw") ? await startTheirRadosgw() : undefined;
  if (radosgw !== undefined) peers.push(radosgw);
  if (wanted.has("s3rver")) peers.push(keep(await startS3rver(directory)));
  for (const peer of peers) await send(peer, { method: "PUT", path: `/${BUCKET}` }, 200);
  if (cells.has("client")) await clientCeiling();
  for (const connections of [1, 32]) {
    if (cells.has("get")) await smallGets(peers, connections);
    if (cells.has("put")) await smallPuts(peers, connections);
  }
  if (cells.has("large")) await largeObjects(peers);
  if (cells.has("list")) await listings(peers);
  if (cells.has("delete")) await deletes(peers);
  if (cells.has("memory")) await memory();
  if (cells.has("workers")) await workers();
  if (cells.has("sigv4")) await (await import("./lib/s3-verify.ts")).measureVerification();
} finally {
  for (const stop of stops) await stop();
  await rm(directory, { recursive: true, force: true });
}

function keep<Peer extends S3Peer>(peer: Peer): Peer {
  if (peer.server !== undefined) stops.push(peer.server.stop);
  return peer;
}

async function send(peer: S3Peer, request: SignedRequest, status: number): Promise<void> {
  const raw = signedRequest(peer, request);
  await generateRawLoad({
    port: peer.port,
    connections: 1,
    durationMs: 60_000,
    requests: 1,
    request: () => raw,
    status,
  });
}

/** Rounds go from server to server, so that a machine that slows down slows all. The first round warms up. */
async function measure(
  peers: readonly S3Peer[],
  one: (peer: S3Peer, round: number) => Promise<number>,
): Promise<Map<S3Peer, number[]>> {
  const figures = new Map<S3Peer, number[]>(peers.map((peer) => [peer, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const peer of figures.keys()) {
      try {
        const figure = await one(peer, round);
        if (round > 0) figures.get(peer)?.push(figure);
      } catch (error) {
        if (peer.name === "GlobalFS") throw error;
        // Some peers cannot do everything; that is said, and the others go on.
        console.log(`${peer.name} fails: ${String(error).replaceAll(/\s+/g, " ").slice(0, 160)}`);
        figures.delete(peer);
      }
    }
  }
  return figures;
}

function compare(what: string, unit: string, figures: ReadonlyMap<S3Peer, number[]>, goals = GOALS): void {
  const [first, ...others] = [...figures];
  if (first === undefined) return;
  if (others.length === 0) console.log(`${what.padEnd(44)} ${Math.round(median(first[1]))} ${unit}`);
  for (const [peer, theirs] of others) {
    const goal = goals[peer.name];
    printComparison({ what, unit, ours: first[1], peer: peer.name, theirs, ...(goal === undefined ? {} : { goal }) });
  }
}

/** The client alone: what it gets from a server that does nothing but answer. Figures near it would say nothing of a server. */
async function clientCeiling(): Promise<void> {
  const bare = await startBareHttp("bytes", String(SMALL.length));
  try {
    const raw = signedRequest(bare, { method: "GET", path: `/${BUCKET}/small` });
    const rates: number[] = [];
    const before = process.cpuUsage();
    const startedMs = performance.now();
    for (let round = 0; round < rounds; round++) {
      const load = { port: bare.port, connections: 32, durationMs, status: 200 };
      rates.push((await generateRawLoad({ ...load, request: () => raw })).perSecond);
    }
    const used = process.cpuUsage(before);
    const busy = (used.user + used.system) / 1_000 / (performance.now() - startedMs);
    const rate = median(rates);
    console.log(
      `client alone, against a bare node:http: ${Math.round(rate)} GETs of 4 KiB a second, ${((busy / rate) * 1e6).toFixed(1)} us of its own each`,
    );
  } finally {
    await bare.server.stop();
  }
}

async function smallGets(peers: readonly S3Peer[], connections: number): Promise<void> {
  const requests = new Map<S3Peer, RawRequest[]>();
  for (const peer of peers) {
    for (let key = 0; key < KEYS; key++) {
      if (connections > 1 && cells.has("get")) break;
      await send(peer, { method: "PUT", path: `/${BUCKET}/small/${key}`, body: SMALL }, 200);
    }
    requests.set(
      peer,
      Array.from({ length: KEYS }, (_, key) => signedRequest(peer, { method: "GET", path: `/${BUCKET}/small/${key}` })),
    );
  }
  const figures = await measure(peers, async (peer) => {
    const request = (sequence: number): RawRequest => requests.get(peer)?.[sequence % KEYS] as RawRequest;
    return (await generateRawLoad({ port: peer.port, connections, durationMs, request, status: 200 })).perSecond;
  });
  compare(`GET of 4 KiB, ${clients(connections)}`, "/s", figures, { ...GOALS, radosgw: 2 });
}

/** Of objects that are there, and of new ones: that the old one stays until the new one has taken its place costs the first more. */
async function smallPuts(peers: readonly S3Peer[], connections: number): Promise<void> {
  const requestsFor = (peer: S3Peer, prefix: string, count: number): RawRequest[] =>
    Array.from({ length: count }, (_, key) =>
      signedRequest(peer, { method: "PUT", path: `/${BUCKET}/${prefix}/${key % 64}/${key}`, body: SMALL }),
    );
  const load = async (peer: S3Peer, requests: readonly RawRequest[]): Promise<number> => {
    const request = (sequence: number): RawRequest => requests[sequence % requests.length] as RawRequest;
    return (await generateRawLoad({ port: peer.port, connections, durationMs, request, status: 200 })).perSecond;
  };
  const enough = Math.ceil((durationMs / 1_000) * MOST_PUTS_A_SECOND);
  const made = await measure(
    peers,
    async (peer, round) => await load(peer, requestsFor(peer, `new-${connections}-${round}`, enough)),
  );
  compare(`PUT of 4 KiB, new, ${clients(connections)}`, "/s", made);
  const again = new Map(peers.map((peer) => [peer, requestsFor(peer, "put", KEYS * 8)]));
  const over = await measure(peers, async (peer) => await load(peer, again.get(peer) as RawRequest[]));
  compare(`PUT of 4 KiB, over another, ${clients(connections)}`, "/s", over);
}

async function largeObjects(peers: readonly S3Peer[]): Promise<void> {
  const CLIENTS = 4;
  const bare = wanted.has("bare") ? keep(await startBareHttp("files", directory)) : undefined;
  const all = bare === undefined ? peers : [...peers, bare];
  const at = (peer: S3Peer, index: number): string => (peer === bare ? `/large-${index}` : `/${BUCKET}/large-${index}`);
  const rate = async (peer: S3Peer, method: "GET" | "PUT"): Promise<number> => {
    const body = method === "PUT" ? { body: PIECE, bodyTimes: LARGE_MIB } : {};
    const requests = Array.from({ length: CLIENTS * 2 }, (_, index) =>
      signedRequest(peer, { method, path: at(peer, index), ...body }),
    );
    const { seconds } = await generateRawLoad({
      port: peer.port,
      connections: CLIENTS,
      durationMs: 120_000,
      requests: CLIENTS * 2,
      request: (sequence) => requests[sequence] as RawRequest,
      status: method === "PUT" && peer === bare ? 201 : 200,
    });
    return (CLIENTS * 2 * LARGE_MIB * MIB) / 1e6 / seconds;
  };
  compare(`PUT of 64 MiB, ${clients(CLIENTS)}`, "MB/s", await measure(all, async (peer) => await rate(peer, "PUT")));
  compare(`GET of 64 MiB, ${clients(CLIENTS)}`, "MB/s", await measure(all, async (peer) => await rate(peer, "GET")));
}

async function fill(peer: S3Peer, prefix: string, count: number): Promise<void> {
  await generateRawLoad({
    port: peer.port,
    connections: 32,
    durationMs: 600_000,
    requests: count,
    request: (sequence) =>
      signedRequest(peer, {
        method: "PUT",
        path: `/${BUCKET}/${prefix}${name(sequence)}`,
        body: SMALL.subarray(0, 16),
      }),
    status: 200,
  });
}

function name(sequence: number): string {
  return String(sequence).padStart(7, "0");
}

async function listings(peers: readonly S3Peer[]): Promise<void> {
  const counts = new Map(
    peers.map((peer) => [peer, peer.name === "s3rver" ? Math.min(S3RVER_OBJECTS, objects) : objects]),
  );
  for (const peer of peers) await fill(peer, "list/", counts.get(peer) ?? objects);
  const figures = await measure(peers, async (peer) => {
    const count = counts.get(peer) ?? objects;
    const requests = Array.from({ length: 16 }, (_, index) => {
      const after = encodeURIComponent(`list/${name(Math.floor((count * index) / 16))}`);
      const query = `list-type=2&max-keys=1000&prefix=list%2F&start-after=${after}`;
      return signedRequest(peer, { method: "GET", path: `/${BUCKET}`, query });
    });
    const request = (sequence: number): RawRequest => requests[sequence % 16] as RawRequest;
    return (await generateRawLoad({ port: peer.port, connections: 4, durationMs, request, status: 200 })).perSecond;
  });
  const few = counts.size > 0 && wanted.has("s3rver") && objects > S3RVER_OBJECTS;
  compare(
    `LIST of 1,000 of ${objects.toLocaleString("en")}${few ? ` (s3rver: of ${S3RVER_OBJECTS})` : ""}`,
    "/s",
    figures,
  );
}

async function deletes(peers: readonly S3Peer[]): Promise<void> {
  const CALLS = 4;
  const figures = await measure(peers, async (peer, round) => {
    // One key stays: s3rver answers 500 when two of a call both find that they have emptied the directory.
    await fill(peer, `delete-${round}/`, CALLS * 1_000 + 1);
    const requests = Array.from({ length: CALLS }, (_, call) =>
      deleteRequest(
        peer,
        BUCKET,
        Array.from({ length: 1_000 }, (_, index) => `delete-${round}/${name(call * 1_000 + index)}`),
      ),
    );
    const { seconds } = await generateRawLoad({
      port: peer.port,
      connections: 2,
      durationMs: 120_000,
      requests: CALLS,
      request: (sequence) => requests[sequence] as RawRequest,
      status: 200,
    });
    return (CALLS * 1_000) / seconds;
  });
  compare("DELETE, 1,000 keys a call, 2 clients", "keys/s", figures);
}

/** Processes of its own, so that what other cells left behind does not count; the second has only ever been read from. */
async function memory(): Promise<void> {
  const run = { bucket: BUCKET, clients: 64, piece: PIECE };
  const writing = keep(await startOurs(directory, "memory"));
  await send(writing, { method: "PUT", path: `/${BUCKET}` }, 200);
  await measureMemory({
    ...run,
    peer: writing,
    server: writing.server,
    methods: ["PUT", "GET"],
    state: "one server",
  });
  await writing.server.stop();
  const reading = keep(await startOurs(directory, "memory"));
  await measureMemory({ ...run, peer: reading, server: reading.server, methods: ["GET"], state: "a fresh server" });
}

/** With one process and with two; the load comes from `wrk`, which leaves nearly all of the machine to them. Without it the cell is left out. */
async function workers(): Promise<void> {
  if (!existsSync(LOAD_GENERATOR)) {
    console.log(
      "workers: left out; it needs wrk (Debian: apt-get install wrk), since a client in Node takes too much of the machine",
    );
    return;
  }
  const peers: S3Peer[] = [];
  for (const count of [2, 1]) {
    const peer = keep(await startOurs(directory, `workers-${count}`, count));
    peers.push({ ...peer, name: `${count} process${count === 1 ? "" : "es"}` });
    await send(peer, { method: "PUT", path: `/${BUCKET}` }, 200);
    await send(peer, { method: "PUT", path: `/${BUCKET}/small`, body: SMALL }, 200);
  }
  const costs = new Map<S3Peer, RequestCost[]>(peers.map((peer) => [peer, []]));
  const figures = await measure(peers, async (peer, round) => {
    const address = presignedAddress(peer, `/${BUCKET}/small`);
    const seconds = String(Math.max(1, Math.round(durationMs / 1_000)));
    const before = usedBy(peer);
    const { stdout } = await promisify(execFile)(LOAD_GENERATOR, ["-t1", "-c32", `-d${seconds}`, address]);
    const after = usedBy(peer);
    if (stdout.includes("Non-2xx")) throw new Error(`The server refused what wrk asked for:\n${stdout}`);
    const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
    if (round > 0) costs.get(peer)?.push(costOf(before, after, requests));
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  });
  compare("GET of 4 KiB, 32 clients, 2 processes", "/s", figures, { "1 process": 1.6 });
  const [two, one] = peers.map((peer) => ({ rates: figures.get(peer) ?? [], costs: costs.get(peer) ?? [] }));
  if (two !== undefined && one !== undefined) printCeiling(two, one);
}

function usedBy({ server }: S3Peer): ReturnType<typeof usedByServer> {
  if (server === undefined) throw new Error("Nobody knows the processes of this server.");
  return usedByServer(server.pid);
}

function clients(count: number): string {
  return count === 1 ? "1 client" : `${count} clients`;
}
