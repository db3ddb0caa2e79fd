import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram, freePort, missingServer } from "../servers/shared-server.ts";
import { runProgram } from "./support/command.ts";
import { cleanEnvironment } from "./support/daemon.ts";
import { until } from "./support/until.ts";

/** What the README tells a person to type, word for word, in a copy of the repository as a clone would be. */

const ROOT = join(import.meta.dirname, "../..");
const NOT_CLONED: ReadonlySet<string> = new Set(["node_modules", "dist", ".git", ".globalfs", "coverage", "results"]);
const USUAL_PORT = 8_090;

/** A command of the tour, and what its block must show. Commands that the README no longer has fail, too. */
const SHOWN: readonly (readonly [command: string, shown: RegExp])[] = [
  ["npx globalfs object get notes/hello.txt", /^hello world$/m],
  ["npx globalfs ls -l notes", /^ *12 B .* hello\.txt$/m],
  ["npx globalfs explain notes/hello.txt", /^onprem +present +healthy +notes\/hello\.txt/m],
  ["-T sample.bin $GLOBALFS_COORDINATOR/api/v1/objects/data/sample.bin", /"key":"data\/sample\.bin","size":3000000/],
  ["-r 0-4", /^hello$/m],
  ["-I $GLOBALFS_COORDINATOR", /^HTTP\/1\.1 200 OK\r?\n[^]*^content-length: 3000000\r?$/im],
  ["s3 mb s3://photos", /^make_bucket: photos$/m],
  ["s3 ls s3://photos --recursive", / 3000000 2026\/sample\.bin$/m],
  ["s3 cp s3://notes/hello.txt -", /^hello world$/m],
  ["npx globalfs ls -R photos", /^2026\/sample\.bin$/m],
  ["cmp sample.bin", /^same$/m],
  ["npx globalfs mv notes/ archive/\nnpx globalfs ls -R", /^archive\/hello\.txt$/m],
  ["grep -i -e HTTP -e X-GlobalFS-Source", /^HTTP\/1\.1 200 OK\r?\nX-GlobalFS-Source: cloud\r?$/im],
  ["objects/data/refused.bin", /"error":"[^"]*onprem/],
  ["sleep 6\nnpx globalfs status", /^DEGRADED\n {2}onprem: /m],
  ["sleep 40\nnpx globalfs status", /^HEALTHY\n/m],
  ["npx globalfs import cloud results/", /adopted 1/],
  ["npx globalfs explain results/run-1.bin", /^cloud +foreign/m],
  ["npx globalfs du", /^cloud +\d+ +/m],
  ["npx globalfs info", /^Sites: +2 /m],
  ["grep '^globalfs_replication'", /^globalfs_replication_jobs_total\{/m],
];

const lacking = await missingProgram(["npm", "npx", "bash", "curl", "aws"]);

async function missingProgram(programs: readonly string[]): Promise<boolean> {
  for (const program of programs) {
    if ((await findProgram(program)) !== undefined) continue;
    missingServer(`the README's tour needs ${program}`);
    return true;
  }
  return false;
}

describe.skipIf(lacking)("the README's tour", () => {
  let directory: string;
  let port: number;
  let stop: () => Promise<unknown>;
  let said = "";

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "globalfs-tour-"));
    await cp(ROOT, directory, { recursive: true, filter: (path) => path === ROOT || !NOT_CLONED.has(basename(path)) });
    // As npm would install them; a copy of what is there already spares the download.
    await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"));
    const usual = (await isFree(USUAL_PORT)) && (await isFree(USUAL_PORT + 1));
    port = usual ? USUAL_PORT : await freePort();
    const other = ["start", "--", "--listen", `127.0.0.1:${port}`, "--s3-listen", "127.0.0.1:0"];
    const words = port === USUAL_PORT ? ["start"] : other;
    const child = spawn("npm", words, {
      cwd: directory,
      env: cleanEnvironment(),
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (said += piece.toString()));
    const closed = once(child, "close");
    stop = async () => {
      // npm, the script and the daemon are one group, as at a terminal where Ctrl-C reaches them all.
      process.kill(-(child.pid as number), "SIGINT");
      await closed;
    };
    await Promise.race([
      // It serves a moment before it has said so, and its last words are how to try S3.
      until("npm start serves", async () => said.includes("s3 mb") && (await isReady(port))),
      closed.then(() => Promise.reject(new Error(`npm start ended:\n${said}`))),
    ]);
  }, 180_000);
  afterAll(async () => {
    await stop?.();
    await rm(directory, { recursive: true, force: true });
  });

  test("begins with what npm start says", () => {
    expect(said).toContain(`GlobalFS is ready at http://localhost:${port}`);
    expect(said).toContain('echo "hello world" | npx globalfs');
    expect(said).toMatch(/API +http:\/\/localhost:\d+\/api\/v1\n +key +gfs_\S+ +in the header X-GlobalFS-API-Key\n/);
    expect(said).toMatch(/S3 +http:\/\/localhost:\d+\n +access key +\w+\n +secret key +\S+\n/);
    expect(said).toContain("s3 mb s3://my-bucket");
  });

  test("shows what it promises, block after block", { timeout: 300_000 }, async () => {
    const blocks = tourBlocks(await readFile(join(ROOT, "README.md"), "utf8"));
    expect(blocks.length).toBeGreaterThan(5);
    const waiting = [...SHOWN];
    // One terminal goes through all of it: what a block loads holds in those after it.
    let loaded = "";
    for (const block of blocks) {
      const { out, err } = await runProgram("bash", ["-c", `${loaded}${onPort(block)}`], { directory });
      for (const [line] of block.matchAll(/^\. .*\n/gm)) loaded += line;
      for (const [command, shown] of waiting.filter(([command]) => block.includes(command))) {
        expect(`${out}${err}`, `${command}\n\nin\n\n${block}`).toMatch(shown);
        waiting.splice(
          waiting.findIndex(([other]) => other === command),
          1,
        );
      }
    }
    expect(waiting.map(([command]) => command)).toEqual([]);
  });

  test("leaves objects that have moved to their new names within a minute of the rename", async () => {
    await until("the objects have their new names", async () => {
      const { out } = await runProgram("find", [".globalfs/onprem", ".globalfs/cloud", "-name", "hello.txt"], {
        directory,
      });
      return (
        out.split("\n").toSorted().join(" ").trim() ===
        ".globalfs/cloud/archive/hello.txt .globalfs/onprem/archive/hello.txt"
      );
    });
  });

  function onPort(block: string): string {
    return block.replaceAll(`localhost:${USUAL_PORT}`, `localhost:${port}`);
  }
});

function tourBlocks(readme: string): string[] {
  const tour = /^## A tour$([^]*?)^## /m.exec(readme)?.[1] ?? "";
  return Array.from(tour.matchAll(/^```bash\n([^]*?)^```$/gm), ([, block]) => block as string);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

async function isReady(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
  return answer?.status === 200;
}
