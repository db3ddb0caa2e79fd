import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkCatalog } from "../../../src/namespace/index.ts";
import { type Bundle, bundle } from "../../programs/bundle.ts";
import { beginArbitrary, type Command, commandArbitrary, type Node, type Step } from "./commands.ts";
import { OnCatalog } from "./on-catalog.ts";

/** The catalog beside a real directory: the same commands, by the same callers, have the same outcome and leave the same tree. */

const SEQUENCES = process.env["GLOBALFS_LONG"] === "1" ? 2_000 : 300;
const seed = Number(process.env["GLOBALFS_SEED"] ?? 20_261);

/** Only root can be others, make devices, and give files away. */
const reason = await whyNot();

async function whyNot(): Promise<string | undefined> {
  if (process.platform !== "linux") return "not on Linux";
  if (process.getuid?.() !== 0) return "not as root";
  if ((await readFile("/proc/sys/fs/protected_hardlinks", "utf8")).trim() !== "1")
    return "links of others' files are not protected here";
  return undefined;
}

let program: Bundle;
let root: string;
beforeAll(async () => {
  if (reason !== undefined) return;
  program = await bundle(join(import.meta.dirname, "on-disk.ts"));
  root = await mkdtemp(join(tmpdir(), "globalfs-posix-"));
});
afterAll(async () => {
  if (reason !== undefined) return;
  await program.remove();
  await rm(root, { recursive: true, force: true });
});

function onDisk(sequences: readonly (readonly Command[])[]): { fine: boolean; answers: Step[][] } {
  const input = JSON.stringify({ root, sequences });
  const run = spawnSync(process.execPath, [program.path], { input, maxBuffer: 2 ** 30 });
  if (run.status !== 0) throw new Error(run.stderr.toString());
  return JSON.parse(run.stdout.toString()) as { fine: boolean; answers: Step[][] };
}

/** Times are another clock's: what can be compared is whether they changed, and those that somebody chose. */
function comparable(
  tree: Readonly<Record<string, Node>>,
  before: Readonly<Record<string, Node>>,
  fine: boolean,
): object {
  const earlierByInode = new Map(Object.values(before).map((node) => [node.inode, node]));
  const shown = Object.entries(tree).map(([path, { inode, modified, changed, ...node }]) => {
    const earlier = earlierByInode.get(inode);
    const times =
      !fine || earlier === undefined
        ? {}
        : {
            modified: modified === earlier.modified ? "stayed" : "moved",
            changed: changed === earlier.changed ? "stayed" : "moved",
          };
    const chosen = BigInt(modified) < 1_100_000_000_000_000_000n ? { chosen: modified } : {};
    return [path, { ...node, ...times, ...chosen }] as const;
  });
  return Object.fromEntries(shown.sort(([one], [other]) => (one < other ? -1 : 1)));
}

function shown(steps: readonly Step[], fine: boolean): object[] {
  return steps.map(({ outcome, tree }, at) => ({ outcome, tree: comparable(tree, steps[at - 1]?.tree ?? {}, fine) }));
}

describe.skipIf(reason !== undefined)(
  `a tree in the catalog and one on a disk${reason === undefined ? "" : `, skipped: ${reason}`}`,
  () => {
    it("go the same way whatever is done to them", async () => {
      const arbitrary = fc
        .tuple(beginArbitrary, fc.array(commandArbitrary, { minLength: 40, maxLength: 40 }))
        .map(([begin, commands]) => [...begin, ...commands]);
      const sequences = fc.sample(arbitrary, { numRuns: SEQUENCES, seed });
      const { fine, answers } = onDisk(sequences);
      const outcomes = new Map<string, number>();
      for (const [index, commands] of sequences.entries()) {
        const catalog = new OnCatalog();
        await catalog.initialize();
        const steps: Step[] = [];
        for (const command of commands) {
          const step = await catalog.step(command);
          steps.push(step);
          const key = `${command.op} ${step.outcome.split(" ")[0]}`;
          outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
        }
        // Two moments of a disk are now and then the same one: what differs is looked at again.
        let disk = answers[index] as Step[];
        for (let turn = 0; turn < 3 && !isDeepStrictEqual(shown(steps, fine), shown(disk, fine)); turn++)
          disk = onDisk([commands]).answers[0] as Step[];
        const [ours, theirs] = [shown(steps, fine), shown(disk, fine)];
        for (const [at, each] of ours.entries()) {
          const done = commands.slice(0, at + 1).map((command) => JSON.stringify(command));
          expect(each, `seed ${seed}, sequence ${index}:\n${done.join("\n")}`).toEqual(theirs[at]);
        }
        expect((await checkCatalog(catalog.kv)).faults).toEqual([]);
      }
      // Without these the test would prove less than it says.
      for (const wanted of [
        "rename ok",
        "exchange ok",
        "rename ENOTEMPTY",
        "rename EINVAL",
        "mkdir EEXIST",
        "unlink EACCES",
        "chown EPERM",
      ])
        expect(outcomes.get(wanted) ?? 0, wanted).toBeGreaterThan(0);
    }, 120_000);
  },
);
