/**
 * One server of a kind for a whole test run, whichever worker asks first. A keeper process ends it with the run, so that
 * nobody has to be the last one.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { access, constants, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { systemClock } from "../../src/core/ports/clock.ts";

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
}

export interface SharedServer<Address> {
  readonly name: string;
  /** Chooses ports and makes up secrets; the answer reaches all workers. */
  prepare(directory: string): Promise<Address>;
  command(address: Address, directory: string): ServerCommand;
  /** Whether requests are answered by now. */
  ready(address: Address, directory: string): Promise<boolean>;
}

const START_TIMEOUT_MS = 55_000;
const POLL_MS = 100;

export async function shareServer<Address>(server: SharedServer<Address>): Promise<Address> {
  // Worker threads share the process of the run; forked workers are its children.
  const ownerPid = isMainThread && process.env["VITEST_POOL_ID"] !== undefined ? process.ppid : process.pid;
  const directory = join(tmpdir(), `globalfs-${server.name}-${ownerPid}`);
  const addressFile = join(directory, "address.json");
  if (await madeDirectory(directory)) {
    const address = await server.prepare(directory);
    const { command, args } = server.command(address, directory);
    await writeFile(`${addressFile}.new`, JSON.stringify(address));
    await rename(`${addressFile}.new`, addressFile);
    const keeper = scriptPath("keeper.mjs");
    spawn(process.execPath, [keeper, String(ownerPid), directory, command, ...args], {
      detached: true,
      stdio: "ignore",
    }).unref();
  }
  const until = systemClock.monotonicMs() + START_TIMEOUT_MS;
  while (systemClock.monotonicMs() < until) {
    const text = await readIfThere(addressFile);
    if (text !== undefined) {
      const address = JSON.parse(text) as Address;
      if (await server.ready(address, directory)) return address;
    }
    const failed = await readIfThere(join(directory, "failed"));
    if (failed !== undefined) throw new Error(`${server.name} did not start: ${failed}\n${await logOf(directory)}`);
    await systemClock.sleep(POLL_MS);
  }
  throw new Error(`${server.name} did not start in time\n${await logOf(directory)}`);
}

/** Also from a bundle, which lies elsewhere in the work tree. */
export function scriptPath(name: string): string {
  for (let directory = import.meta.dirname; ; directory = dirname(directory)) {
    const candidate = join(directory, "tests", "servers", name);
    if (existsSync(candidate)) return candidate;
    if (directory === dirname(directory)) throw new Error(`tests/servers/${name} is not above ${import.meta.dirname}`);
  }
}

/** Missing programs skip tests on a bare machine, and fail them where `GLOBALFS_REQUIRE_SERVERS=1` promises a full one. */
export function missingServer(reason: string): undefined {
  if (process.env["GLOBALFS_REQUIRE_SERVERS"] === "1") throw new Error(`A test server is required: ${reason}`);
  console.warn(`skipped: ${reason}`);
  return undefined;
}

export async function findProgram(name: string): Promise<string | undefined> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const candidate = join(directory, name);
    if (
      await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  }
  return undefined;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}

async function madeDirectory(directory: string): Promise<boolean> {
  try {
    await mkdir(directory);
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "EEXIST") return false;
    throw error;
  }
}

async function logOf(directory: string): Promise<string> {
  return ((await readIfThere(join(directory, "server.log"))) ?? "").slice(-2_000);
}
