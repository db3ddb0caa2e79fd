import { execFile } from "node:child_process";
import * as fc from "fast-check";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { anyStep, outcome, Playground, snapshot } from "./differential-steps.ts";
import { reasonToSkip, Served } from "./support/served.ts";

const run = promisify(execFile);
const LONG = process.env["GLOBALFS_LONG"] === "1";
const FUZZ_MS = LONG ? 600_000 : 12_000;
const RACE_MS = LONG ? 60_000 : 3000;
const RACERS = 4;
const RACER = join(import.meta.dirname, "support", "racer.mjs");

describe.skipIf(reasonToSkip() !== undefined)("whatever is done, in whatever order", () => {
  const started: { readonly kind: string; readonly served: Served }[] = [];
  const directories: string[] = [];
  const newDirectory = (): string => {
    const directory = fs.mkdtempSync(join(tmpdir(), "globalfs-differential-"));
    directories.push(directory);
    return directory;
  };
  beforeAll(async () => {
    started.push({ kind: "memory", served: await Served.start("memory") });
    for (const passthrough of ["off", "read", "write"]) {
      const words = [JSON.stringify({ source: newDirectory(), passthrough })];
      started.push({ kind: `loopback, passthrough ${passthrough}`, served: await Served.start("loopback", { words }) });
    }
  });
  afterAll(async () => {
    for (const { served } of started) await served.clean();
    for (const directory of directories) fs.rmSync(directory, { recursive: true, force: true });
  });

  test("the same comes of it in memory, in loopback and on the disk", { timeout: FUZZ_MS + 60_000 }, () => {
    const disk = newDirectory();
    let count = 0;
    let steps = 0;
    process.umask(0o022);
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 20, maxLength: 60, size: "max" }), (plan) => {
        count += 1;
        const model = new Playground(join(disk, String(count)));
        const others = started.map(({ kind, served }) => ({
          kind,
          ground: new Playground(join(served.directory, String(count))),
        }));
        const grounds = [model, ...others.map(({ ground }) => ground)];
        try {
          for (const step of plan) {
            steps += 1;
            const expected = outcome(step, model);
            // What the file system of the disk cannot do at all, as tmpfs cannot write zeros in place, is compared nowhere.
            if (expected === "ENOTSUP" && step.text.startsWith("fallocate ")) continue;
            for (const { kind, ground } of others) {
              expect(outcome(step, ground), `${step.text} in ${kind}`).toEqual(expected);
            }
          }
          const expected = snapshot(model.root);
          for (const { kind, ground } of others)
            expect(snapshot(ground.root), `everything in ${kind}`).toEqual(expected);
        } finally {
          for (const ground of grounds) {
            ground.end();
            fs.rmSync(ground.root, { recursive: true, force: true });
          }
        }
      }),
      { numRuns: 1_000_000, interruptAfterTimeLimit: FUZZ_MS },
    );
    // So that a machine on which nothing is compared does not pass.
    expect(steps).toBeGreaterThan(500);
  });

  test("processes that race leave a tree behind that hangs together", { timeout: RACE_MS * 8 + 60_000 }, async () => {
    for (const { kind, served } of started) {
      const ground = join(served.directory, "race");
      fs.mkdirSync(ground);
      const racers = Array.from({ length: RACERS }, (_, index) =>
        run(process.execPath, [RACER, ground, String(RACE_MS), String(index)]),
      );
      const outputs = await Promise.all(racers);
      for (const { stdout } of outputs) expect(JSON.parse(stdout), kind).toMatchObject({ unexpected: [] });
      const names = fs.readdirSync(ground, { recursive: true, encoding: "utf8" });
      const links = new Map<number, number>();
      for (const name of names) {
        const stats = fs.lstatSync(join(ground, name));
        if (!stats.isFile()) continue;
        links.set(stats.ino, (links.get(stats.ino) ?? 0) + 1);
        expect(fs.readFileSync(join(ground, name), "utf8")).toMatch(/^racer \d+$/);
      }
      for (const name of names) {
        const stats = fs.lstatSync(join(ground, name));
        if (stats.isFile()) expect(stats.nlink, `${name} in ${kind}`).toBe(links.get(stats.ino));
      }
    }
  });
});
