import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { reasonToSkip, Served } from "./support/served.ts";

const run = promisify(execFile);
const CLIENTS = 4;
const LIMIT_MS = 120_000;

/** Where Debian keeps the programs of the newest version that is installed, or undefined. */
function programs(): string | undefined {
  const base = "/usr/lib/postgresql";
  const versions = fs.existsSync(base)
    ? fs.readdirSync(base).toSorted((one, other) => Number(one) - Number(other))
    : [];
  const found = versions
    .map((version) => join(base, version, "bin"))
    .findLast((path) => fs.existsSync(join(path, "initdb")));
  if (found === undefined) process.stderr.write("Postgres on mounts is not tested: it is not installed.\n");
  return found;
}

const LONG = process.env["GLOBALFS_LONG"] === "1";
const bin = LONG && reasonToSkip() === undefined ? programs() : undefined;

/** It refuses to work as root, and so has a user of its own. */
function idsOfPostgres(): { readonly uid: number; readonly gid: number } {
  const [, , uid, gid] = spawnSync("getent", ["passwd", "postgres"], { encoding: "utf8" }).stdout.split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

class Database {
  readonly directory: string;
  readonly #sockets: string;
  readonly #bin: string;
  readonly #ids = idsOfPostgres();
  #server: ChildProcess | undefined;

  constructor(where: { readonly directory: string; readonly sockets: string; readonly bin: string }) {
    this.directory = join(where.directory, "data");
    this.#sockets = where.sockets;
    this.#bin = where.bin;
    fs.chownSync(where.sockets, this.#ids.uid, this.#ids.gid);
  }

  /** Runs one of its programs, and resolves with what that wrote. */
  async run(program: string, words: readonly string[]): Promise<string> {
    const options = { ...this.#ids, cwd: this.#sockets, timeout: LIMIT_MS, maxBuffer: 16 * 1_048_576 };
    const { stdout } = await run(join(this.#bin, program), words, options);
    return stdout.trim();
  }

  async create(): Promise<void> {
    fs.mkdirSync(this.directory, { mode: 0o700 });
    fs.chownSync(this.directory, this.#ids.uid, this.#ids.gid);
    await this.run("initdb", ["-D", this.directory, "--data-checksums", "--auth=trust", "--username=postgres"]);
  }

  async start(): Promise<void> {
    const settings = ["-c", "listen_addresses=", "-c", `unix_socket_directories=${this.#sockets}`];
    this.#server = spawn(join(this.#bin, "postgres"), ["-D", this.directory, ...settings], {
      ...this.#ids,
      cwd: this.#sockets,
      stdio: ["ignore", "ignore", fs.openSync(join(this.#sockets, "log"), "a")],
    });
    const deadline = performance.now() + LIMIT_MS;
    for (;;) {
      const ready = await this.run("pg_isready", ["-h", this.#sockets]).then(
        () => true,
        () => false,
      );
      if (ready) return;
      if (performance.now() > deadline || this.#server.exitCode !== null) {
        throw new Error(`It did not start: ${fs.readFileSync(join(this.#sockets, "log"), "utf8").slice(-2000)}`);
      }
    }
  }

  async stop(signal: "SIGINT" | "SIGKILL"): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once("exit", resolve));
    // Its children hold shared memory, without which it would not start again: they have to end as well.
    const children = signal === "SIGKILL" ? childrenOf(server.pid ?? 0) : [];
    server.kill(signal);
    for (const pid of children) spawnSync("kill", ["-KILL", String(pid)], { stdio: "ignore" });
    await ended;
  }

  sql(text: string): Promise<string> {
    return this.run("psql", ["-h", this.#sockets, "-U", "postgres", "-AtX", "-c", text]);
  }

  /** The usual transactions of pgbench for a while; resolves with how many came of it. */
  async bench(): Promise<string> {
    const words = ["-h", this.#sockets, "-U", "postgres"];
    await this.run("pgbench", [...words, "-i", "-q", "-s", "2", "postgres"]);
    const said = await this.run("pgbench", [...words, "-c", String(CLIENTS), "-T", "10", "postgres"]);
    if (!/number of failed transactions: 0 /.test(said)) throw new Error(said);
    return /tps = .*/.exec(said)?.[0] ?? said;
  }

  /** A client that commits row after row until its server is gone. */
  client(name: number): Client {
    const child = spawn(join(this.#bin, "psql"), ["-h", this.#sockets, "-U", "postgres", "-AtXq"], {
      ...this.#ids,
      cwd: this.#sockets,
      stdio: ["pipe", "pipe", "ignore"],
    });
    return new Client(child, name);
  }
}

class Client {
  /** The last number that it was told to be committed. */
  committed = 0;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, name: number) {
    this.#child = child;
    const ask = (number: number): void => {
      child.stdin?.write(`insert into kept values (${name}, ${number}) returning number;\n`);
    };
    child.stdin?.on("error", () => undefined);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.committed = Number(text.trim().split("\n").at(-1));
      ask(this.committed + 1);
    });
    ask(1);
    this.ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  }

  reached(count: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.stdout?.on("data", () => {
        if (this.committed >= count) resolve();
      });
      void this.ended.then(() => reject(new Error(`The client has ended after ${this.committed} rows.`)));
    });
  }
}

function childrenOf(pid: number): number[] {
  const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

describe.skipIf(bin === undefined)("Postgres", () => {
  const started: Served[] = [];
  const databases: Database[] = [];
  const directories: string[] = [];
  afterEach(async () => {
    for (const database of databases.splice(0)) await database.stop("SIGKILL");
    for (const served of started.splice(0)) await served.clean();
    for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true, force: true });
  });
  const newDirectory = (): string => {
    const directory = fs.mkdtempSync(join(tmpdir(), "globalfs-postgres-"));
    fs.chmodSync(directory, 0o755);
    directories.push(directory);
    return directory;
  };
  const serve = async (kind: string, words: string[], at?: string): Promise<string> => {
    const directory = at ?? newDirectory();
    started.push(await Served.start(kind, { words, directory }));
    return directory;
  };
  const ways = {
    memory: () => ["memory"],
    loopback: () => ["loopback", JSON.stringify({ source: newDirectory() })],
    "loopback, writes passed through": () => [
      "loopback",
      JSON.stringify({ source: newDirectory(), passthrough: "write" }),
    ],
    "loopback, nothing passed through": () => [
      "loopback",
      JSON.stringify({ source: newDirectory(), passthrough: "off" }),
    ],
  };

  for (const [way, choose] of Object.entries(ways)) {
    test(`keeps what it has committed when it is killed under load (${way})`, { timeout: 5 * LIMIT_MS }, async () => {
      const [kind = "", ...words] = choose();
      const directory = await serve(kind, words);
      const database = new Database({ directory, sockets: newDirectory(), bin: bin ?? "" });
      databases.push(database);
      await database.create();
      await database.start();
      process.stderr.write(`pgbench on ${way}: ${await database.bench()}\n`);
      expect(
        await database.sql("select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"),
      ).toBe("t");

      await database.sql("create table kept (client int, number int)");
      const clients = Array.from({ length: CLIENTS }, (_, name) => database.client(name));
      await Promise.all(clients.map((client) => client.reached(100)));
      await database.stop("SIGKILL");
      await Promise.all(clients.map((client) => client.ended));
      await database.start();
      for (const [name, client] of clients.entries()) {
        const kept = Number(await database.sql(`select count(*) from kept where client = ${name}`));
        expect(kept).toBeGreaterThanOrEqual(client.committed);
        expect(kept).toBeLessThanOrEqual(client.committed + 1);
      }
      await database.stop("SIGINT");
      expect(await database.run("pg_checksums", ["--check", "-D", database.directory])).toMatch(/Bad checksums:\s+0/);
    });
  }

  test("keeps what it has committed when the server of its mount is killed", { timeout: 5 * LIMIT_MS }, async () => {
    const words = [JSON.stringify({ source: newDirectory(), passthrough: "write" })];
    const directory = await serve("loopback", words);
    const database = new Database({ directory, sockets: newDirectory(), bin: bin ?? "" });
    databases.push(database);
    await database.create();
    await database.start();
    await database.sql("create table kept (client int, number int)");
    const client = database.client(0);
    await client.reached(200);
    const [served] = started;
    served?.kill("SIGKILL");
    await served?.exited;
    await database.stop("SIGKILL");
    await client.ended;
    await serve("loopback", words, directory);
    await database.start();
    const kept = Number(await database.sql("select count(*) from kept"));
    expect(kept).toBeGreaterThanOrEqual(client.committed);
    await database.stop("SIGINT");
    expect(await database.run("pg_checksums", ["--check", "-D", database.directory])).toMatch(/Bad checksums:\s+0/);
  });
});
