import { readFileSync } from "node:fs";
import type { Server } from "./process.ts";
import { generateRawLoad, type RawRequest } from "./raw-client.ts";
import { type S3Target, signedRequest } from "./s3-requests.ts";

const GOAL_MIB = 200;
const SAMPLE_MS = 20;

export interface MemoryRun {
  readonly peer: S3Target;
  readonly server: Server;
  readonly bucket: string;
  readonly clients: number;
  readonly methods: readonly ("PUT" | "GET")[];
  /** Said of the server, such as "a fresh server". */
  readonly state: string;
  /** Sent 16 times for each object. */
  readonly piece: Uint8Array;
}

/** The server's own memory while all clients stream at once; pages of mapped files, which the system takes back, are told apart. */
export async function measureMemory({
  peer,
  server,
  bucket,
  clients,
  methods,
  state,
  piece,
}: MemoryRun): Promise<void> {
  for (const method of methods) {
    const body = method === "PUT" ? { body: piece, bodyTimes: 16 } : {};
    const requests = Array.from({ length: clients }, (_, index) =>
      signedRequest(peer, { method, path: `/${bucket}/memory-${index}`, ...body }),
    );
    const before = ownMiB(server.pid);
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, ownMiB(server.pid))), SAMPLE_MS);
    await generateRawLoad({
      port: peer.port,
      connections: clients,
      durationMs: 300_000,
      requests: clients * 4,
      request: (sequence) => requests[sequence % clients] as RawRequest,
      status: 200,
    });
    clearInterval(timer);
    const resident = server.memory().peakBytes / 1024 ** 2;
    console.log(
      `memory of ${state}, ${clients} clients that ${method} 16 MiB each, 4 times: ${before.toFixed(0)} MiB before, ${peak.toFixed(0)} MiB at its peak, ${resident.toFixed(0)} with mapped pages  goal ${GOAL_MIB} MiB ${peak < GOAL_MIB ? "met" : "MISSED"}`,
    );
  }
}

function ownMiB(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) / 1024;
}
