import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { systemClock } from "../../../src/core/ports/clock.ts";

/** The built daemon as its own process, started and ended from outside. */

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Daemon {
  readonly pid: number;
  /** Resolves once requests are answered; rejects, with the log, when the process ends before. */
  readonly ready: Promise<string>;
  readonly ended: Promise<Ended>;
  /** What it wrote, both streams in the order in which it came. */
  log(): string;
  /** The log's lines of one event. */
  events(name: string): readonly Readonly<Record<string, unknown>>[];
  /** Ends this very process and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

export interface ReadyDaemon extends Daemon {
  readonly url: string;
}

export interface DaemonOptions {
  /** Default: `globalfs`. */
  readonly binary?: "globalfs" | "globalfs-coordinator";
  readonly words: readonly string[];
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
}

const BINARIES = join(import.meta.dirname, "../../../bin");
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 40_000;

/** Started before their test ended and never stopped: they end with this process. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Nothing of the tester's own settings reaches the processes under test. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(GLOBALFS|AWS|AZURE|XDG|VITEST|NODE_OPTIONS)/.test(name),
  );
  return { ...Object.fromEntries(kept), NO_COLOR: "1", ...extra };
}

export function binaryWords(words: readonly string[], binary = "globalfs"): string[] {
  return [join(BINARIES, `${binary}.js`), ...words];
}

/** Does not wait for readiness. */
export function spawnDaemon({ binary, words, directory, env }: DaemonOptions): Daemon {
  const child = spawn(process.execPath, binaryWords(words, binary), {
    cwd: directory,
    env: cleanEnvironment(env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let log = "";
  let heard: () => void = () => undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (piece: string) => {
      log += piece;
      heard();
    });
  }
  const ended = once(child, "close").then(([code, signal]): Ended => {
    running.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  const ready = new Promise<string>((resolve, reject) => {
    heard = () => {
      const [, scheme, port] = /"url":"(https?):\/\/[^"]*:(\d+)"[^\n]*"event":"coordinator_ready"/.exec(log) ?? [];
      if (port !== undefined) resolve(`${scheme}://127.0.0.1:${port}`);
    };
    systemClock.timer(READY_TIMEOUT_MS, () => reject(new Error(`The daemon was not ready in time:\n${log}`)));
    void ended.then(({ code, signal }) =>
      reject(new Error(`The daemon ended (${code ?? signal}) before it was ready:\n${log}`)),
    );
  });
  // Whoever kills it at once does not wait for readiness.
  ready.catch(() => undefined);
  return {
    pid: child.pid as number,
    ready,
    ended,
    log: () => log,
    events: (name) =>
      log
        .split("\n")
        .filter((line) => line.startsWith("{") && line.includes(`"event":"${name}"`))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      const cancel = systemClock.timer(STOP_TIMEOUT_MS, () => child.kill("SIGKILL"));
      try {
        return await ended;
      } finally {
        cancel();
      }
    },
  };
}

export async function startDaemon(options: DaemonOptions): Promise<ReadyDaemon> {
  const daemon = spawnDaemon(options);
  return { ...daemon, url: await daemon.ready };
}
