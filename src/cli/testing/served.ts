import { once } from "node:events";
import { PassThrough } from "node:stream";
import { main } from "../main.ts";
import { startRig, type Rig, type RigOptions } from "../../coordinator/testing/rig.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { createRestGateway } from "../../gateways/rest/index.ts";
import { createKeyring, hashApiKey } from "../../security/index.ts";

export interface Served {
  readonly rig: Rig;
  readonly url: string;
  /** Runs one command line against this coordinator. */
  run(words: readonly string[], options?: RunOptions): Promise<Ran>;
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  readonly env?: Readonly<Record<string, string>>;
  /** A person sits there: stdin and stderr are a terminal. */
  readonly watched?: boolean;
}

export interface Ran {
  readonly exit: number;
  readonly bytes: Buffer;
  readonly out: string;
  readonly err: string;
}

/** A real coordinator over memory behind the real gateway on a port of its own, and the real command line in this process. */
export async function serveInProcess(options: RigOptions = {}, apiKey?: string): Promise<Served> {
  const rig = await startRig(options);
  const keys = apiKey === undefined ? [] : [{ name: "test", hash: hashApiKey(apiKey) }];
  const gateway = await createRestGateway(
    {
      service: rig.coordinator,
      keyring: createKeyring(keys),
      clock: systemClock,
      log: silentLogger,
      metrics: noMetrics,
      renderMetrics: () => Promise.resolve({ contentType: "text/plain", body: "# nothing\n" }),
    },
    { version: "0.0.0-test", maxConcurrentRequests: 64, bodyIdleMs: 10_000 },
  );
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${port}`;
  return {
    rig,
    url,
    run: (words, { env = {}, ...options } = {}) =>
      runWords(words, { ...options, env: { GLOBALFS_COORDINATOR: url, ...env } }),
    async stop() {
      await gateway.close({ drainMs: 1_000 });
      await rig.stop();
    },
  };
}

/** One command line in this process, with streams in the place of the terminal. */
export async function runWords(
  words: readonly string[],
  { input = "", env = {}, watched = false }: RunOptions = {},
): Promise<Ran> {
  const stream = (): PassThrough & { isTTY: boolean } => Object.assign(new PassThrough(), { isTTY: watched });
  const [stdin, stdout, stderr] = [stream(), stream(), stream()];
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  stdout.on("data", (piece: Buffer) => out.push(piece));
  stderr.on("data", (piece: Buffer) => err.push(piece));
  const fed = feed(stdin, typeof input === "string" || input instanceof Uint8Array ? [input] : input);
  const exit = await main(words, { stdin, stdout, stderr, env });
  await fed;
  const bytes = Buffer.concat(out);
  return { exit, bytes, out: bytes.toString(), err: Buffer.concat(err).toString() };
}

/** Stops when the command has seen enough. */
async function feed(
  stdin: PassThrough,
  pieces: Iterable<string | Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const closed = once(stdin, "close");
  for await (const piece of pieces) {
    if (stdin.destroyed) return;
    if (!stdin.write(piece)) await Promise.race([once(stdin, "drain"), closed]);
  }
  stdin.end();
}
