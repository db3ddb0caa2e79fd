import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startUp } from "./daemon.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The blocks of the tour, in order. */
function tourBlocks(): string[] {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const tour = /^## A tour\n([^]*?)^## /m.exec(readme)?.[1] ?? "";
  return Array.from(tour.matchAll(/^```bash\n([^]*?)^```/gm), ([, block]) => block as string);
}

/**
 * What a reader pastes is run as it stands there; only the port is another one, and npx, which takes longer to find the
 * program than the program takes, is stood in for. The part that waits for a breaker's cooldown runs with GLOBALFS_LONG=1.
 */
test("the README's tour runs word for word", async () => {
  const all = tourBlocks();
  expect(all.length).toBeGreaterThan(5);
  const blocks = process.env["GLOBALFS_LONG"] === "1" ? all : all.filter((block) => !/sleep|\.away/.test(block));
  const directory = await mkdtemp(join(tmpdir(), "globalfs-readme-"));
  const daemon = await startUp(join(directory, ".globalfs"));
  try {
    const npx = 'npx() { shift; "$NODE" "$ROOT/bin/globalfs.js" "$@"; }';
    const script = blocks.join("\n").replaceAll("http://localhost:8090", daemon.url);
    const child = spawn("bash", ["-c", `${npx}\n${script}`], {
      cwd: directory,
      env: {
        ...process.env,
        ROOT,
        NODE: process.execPath,
        GLOBALFS_COORDINATOR: daemon.url,
        XDG_STATE_HOME: join(directory, "state"),
      },
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
    await once(child, "close");
    for (const expected of [
      "hello world\n",
      "hello",
      "HTTP/1.1 200",
      "same\n",
      "archive/hello.txt\n",
      "(files)",
      "Uptime:",
    ]) {
      expect(out, err).toContain(expected);
    }
    expect(out).toContain("globalfs_replication");
    if (blocks.length < all.length) expect(err).not.toContain("globalfs: ");
    else expect(out).toContain("DEGRADED");
    expect(existsSync(join(directory, ".globalfs/cloud/results/run-1.bin"))).toBe(true);
  } finally {
    await daemon.stop();
    await rm(directory, { recursive: true, force: true });
  }
});
