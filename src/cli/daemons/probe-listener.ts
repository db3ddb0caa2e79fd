import { Worker } from "node:worker_threads";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import { listenFailure } from "../../gateways/http/index.ts";
import { answerProbes, type FromProbeThread, type ProbeData, STATES } from "./probe-thread.ts";

/**
 * A port for probes alone, served by a thread of its own: what asks whether the daemon is well is answered at once, whatever the daemon is busy with,
 * and learns when it is so busy that it does nothing any more.
 */
export interface ProbeListener {
  readonly host: string;
  readonly port: number;
  say(state: (typeof STATES)[number]): void;
  close(): Promise<void>;
}

export interface ProbeListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly beatMs?: number;
  readonly readyMs?: number;
  readonly liveMs?: number;
}

const BEAT_MS = 1_000;
/** Nothing that the daemon does takes so long in one go. */
const READY_MS = 10_000;
const LIVE_MS = 60_000;
/** It needs next to nothing, and takes no more. */
const LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 };

export async function listenForProbes(options: ProbeListenerOptions): Promise<ProbeListener> {
  const { host, port, clock, log, beatMs = BEAT_MS, readyMs = READY_MS, liveMs = LIVE_MS } = options;
  const shared = new SharedArrayBuffer(16);
  const state = new Int32Array(shared, 0, 1);
  const beats = new BigInt64Array(shared, 8, 1);
  let cancel: () => void = () => undefined;
  const beat = (): void => {
    Atomics.store(beats, 0, process.hrtime.bigint());
    cancel = clock.timer(beatMs, beat);
  };
  beat();
  const workerData: ProbeData = { host, port, shared, states: STATES, readyMs, liveMs };
  // Text, so that bundles and sources alike need no file beside them.
  const source = `const { parentPort, workerData } = require("node:worker_threads");
(${answerProbes.toString()})(parentPort, workerData, require("node:http").createServer);`;
  const thread = new Worker(source, { eval: true, workerData, execArgv: [], resourceLimits: LIMITS, name: "probes" });
  thread.unref();
  let closing = false;
  const close = async (): Promise<void> => {
    closing = true;
    cancel();
    await thread.terminate();
  };
  try {
    const taken = await new Promise<number>((resolve, reject) => {
      thread.once("error", reject);
      thread.once("message", (message: FromProbeThread) => {
        if ("port" in message) resolve(message.port);
        else
          reject(
            listenFailure(message.failed, { where: `${host}:${port}`, setting: "coordinator.health_listen_addr" }),
          );
      });
    });
    thread.on("error", (error) => log.error("probe_thread_failed", { error: error.message }));
    thread.on("exit", (code) => {
      if (!closing) log.error("probe_thread_ended", { code });
    });
    return { host, port: taken, say: (word) => void Atomics.store(state, 0, STATES.indexOf(word)), close };
  } catch (error) {
    await close();
    throw error;
  }
}
