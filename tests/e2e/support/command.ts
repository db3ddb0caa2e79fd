import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { binaryWords, cleanEnvironment } from "./daemon.ts";

/** One command line of the built program, as a shell would run it. */

export interface Ran {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  readonly env?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** Takes stdout as it comes, for what does not fit in a text. */
  readonly onOutput?: (piece: Buffer) => void;
  readonly signal?: AbortSignal;
  /** Another user than this one. */
  readonly uid?: number;
  readonly gid?: number;
}

export async function runGlobalfs(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return await runProgram(process.execPath, binaryWords(words), options);
}

export async function runProgram(program: string, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input = "", env, directory, onOutput, signal, uid, gid } = options;
  const child = spawn(program, words, {
    env: cleanEnvironment(env),
    stdio: ["pipe", "pipe", "pipe"],
    ...(directory === undefined ? {} : { cwd: directory }),
    ...(signal === undefined ? {} : { signal }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  const closed = once(child, "close") as Promise<[number | null]>;
  const out: Buffer[] = [];
  let err = "";
  child.stdout.on("data", onOutput ?? ((piece: Buffer) => out.push(piece)));
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (piece: string) => (err += piece));
  // A command that has seen enough closes its stdin early; what it says of that is in its exit code.
  const fed = pipeline(
    Readable.from(typeof input === "string" || input instanceof Uint8Array ? [input] : input),
    child.stdin,
  ).catch(() => undefined);
  const [exit] = await closed;
  await fed;
  return { exit, out: Buffer.concat(out).toString(), err };
}
