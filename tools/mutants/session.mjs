// The process in which tests run, started again when a mutant hangs or ends it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const RUNNER = fileURLToPath(new URL("warm-runner.mjs", import.meta.url));
const START_LIMIT_MS = 600_000;

export class Session {
  #settings;
  #child;
  #last = 0;

  /** `temporary` is where the tests put their files, `environment` what they see besides. */
  constructor({ root, include, setupFiles = [], temporary, environment = {} }) {
    this.#settings = { root, include, setupFiles, temporary, environment };
  }

  /** Runs the tests and resolves with `failed`, a list, and `ran`, a count; or with `ended`: "hung" or "died". */
  async run({ changed = [], selections, limitMs, bail = true }) {
    const child = (this.#child ??= await this.#start());
    const id = (this.#last += 1);
    const { promise, resolve } = withResolvers();
    const onMessage = (message) => message.id === id && resolve(message);
    const onExit = () => resolve({ ended: "died", failed: [], ran: 0 });
    child.on("message", onMessage);
    child.once("exit", onExit);
    const timer = setTimeout(() => resolve({ ended: "hung", failed: [], ran: 0 }), limitMs);
    child.send({ id, bail, changed, selections });
    const answer = await promise;
    clearTimeout(timer);
    child.off("message", onMessage);
    child.off("exit", onExit);
    if (answer.ended !== undefined) await this.end();
    return answer;
  }

  async end() {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    // The tests' own processes are in its group.
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      child.kill("SIGKILL");
    }
    await exited;
  }

  async #start() {
    const { root, include, setupFiles, temporary, environment } = this.#settings;
    const child = spawn(
      process.execPath,
      ["--max-old-space-size=3072", RUNNER, JSON.stringify({ root, include, setupFiles })],
      {
        cwd: root,
        detached: true,
        stdio: ["ignore", "ignore", "pipe", "ipc"],
        env: { ...process.env, NODE_ENV: "test", TMPDIR: temporary, ...environment },
      },
    );
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said = (said + text).slice(-2000);
    });
    const { promise, resolve, reject } = withResolvers();
    const fail = () => reject(new Error(`The test runner did not start. ${said}`));
    const timer = setTimeout(fail, START_LIMIT_MS);
    child.once("message", resolve);
    child.once("exit", fail);
    await promise;
    clearTimeout(timer);
    child.off("exit", fail);
    return child;
  }
}

function withResolvers() {
  let resolve;
  let reject;
  const promise = new Promise((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
