import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SERVE = join(import.meta.dirname, "serve.mjs");
const LINE_LIMIT_MS = 15_000;

/** Why mounts cannot be tested here, or undefined. Where everything has to be there, this throws instead. */
export function reasonToSkip(): string | undefined {
  const reason = missing();
  if (reason === undefined) return undefined;
  if (process.env["GLOBALFS_REQUIRE_SERVERS"] === "1") throw new Error(`Mounts cannot be tested: ${reason}.`);
  process.stderr.write(`Tests of mounts are skipped: ${reason}.\n`);
  return reason;
}

function missing(): string | undefined {
  if (process.platform !== "linux") return "this is not Linux";
  if (process.geteuid?.() !== 0) return "they need root";
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return "there is no /dev/fuse";
  }
}

/** A process that serves a file system. What it says is collected line by line. */
export class Served {
  readonly directory: string;
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly exited: Promise<number | null>;
  #listeners: (() => void)[] = [];

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory;
    this.child = child;
    let rest = "";
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      for (const listener of this.#listeners) listener();
    });
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => process.stderr.write(piece));
    this.exited = new Promise((resolve) => {
      child.once("exit", (code) => {
        resolve(code);
        for (const listener of this.#listeners) listener();
      });
    });
  }

  /** Starts a server of `serve.mjs` and resolves when it has mounted. */
  static async start(
    kind: string,
    options: { readonly directory?: string; readonly words?: string[] } = {},
  ): Promise<Served> {
    const served = Served.launch(kind, options);
    const line = await served.line(/^Mounted|^FuseError|^\w*Error/);
    if (line.startsWith("Mounted")) return served;
    await served.clean();
    throw new Error(line);
  }

  /** Starts a server that may well refuse to mount. */
  static launch(
    kind: string,
    options: { readonly directory?: string; readonly words?: string[]; readonly uid?: number } = {},
  ): Served {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), "globalfs-fuse-"));
    const words = [SERVE, kind, directory, ...(options.words ?? [])];
    const ids = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
    return new Served(directory, spawn(process.execPath, words, { stdio: ["pipe", "pipe", "pipe"], ...ids }));
  }

  /** The first line that matches, among those that came and those that will. */
  line(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#listeners = this.#listeners.filter((listener) => listener !== look);
      };
      const look = (): void => {
        const found = this.lines.find((line) => pattern.test(line));
        if (found !== undefined) {
          finish();
          resolve(found);
        } else if (this.child.exitCode !== null) {
          finish();
          reject(new Error(`The server has ended and never said ${pattern}, but: ${this.lines.join(" / ")}`));
        }
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`The server did not say ${pattern}, but: ${this.lines.join(" / ")}`));
      }, LINE_LIMIT_MS);
      this.#listeners.push(look);
      look();
    });
  }

  /** Sends a command and resolves with what came of it. */
  async command(name: string): Promise<string> {
    this.child.stdin?.write(`${name}\n`);
    const answer = await this.line(new RegExp(`^${name}(:| failed:) `));
    this.lines.splice(this.lines.indexOf(answer), 1);
    return answer.replace(/^[\w-]+: /, "");
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Whatever the test did: the process is gone, and nothing is mounted any more. Looks at nothing that could be served by it. */
  async clean(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
    spawnSync("umount", ["-i", "-c", "-l", this.directory], { stdio: "ignore" });
    rmSync(this.directory, { recursive: true, force: true });
  }
}
