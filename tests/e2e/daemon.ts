import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

export interface Daemon {
  readonly url: string;
  readonly child: ChildProcess;
  /** Everything it said so far, both streams. */
  said(): string;
  /** Resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Runs a built command; stdin is closed. */
export async function runBuilt(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = "",
): Promise<{ readonly exit: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, [join(ROOT, "bin/globalfs.js"), ...words], { env: { ...process.env, ...env } });
  let [out, err] = ["", ""];
  child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
  child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
  child.stdin.end(input);
  const [exit] = (await once(child, "close")) as [number | null];
  return { exit, out, err };
}

/** Starts `globalfs up` on a free port and waits until it says that it is ready. */
export async function startUp(dataDirectory: string, env: Readonly<Record<string, string>> = {}): Promise<Daemon> {
  const words = ["up", "--data-dir", dataDirectory, "--listen", "127.0.0.1:0"];
  const child = spawn(process.execPath, [join(ROOT, "bin/globalfs.js"), ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const closed = once(child, "close") as Promise<[number | null]>;
  let said = "";
  child.stderr.on("data", (piece: Buffer) => (said += piece.toString()));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (piece: Buffer) => {
      said += piece.toString();
      const match = /ready at (http:\S+)\n/.exec(said);
      if (match !== null) resolve(match[1] as string);
    });
    child.once("close", (code) => reject(new Error(`It ended with ${String(code)} before it was ready:\n${said}`)));
  });
  return {
    url,
    child,
    said: () => said,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      const [code] = await closed;
      return code;
    },
  };
}
