import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/ports/random.ts";
import type { FilePath, Inode } from "../../src/core/ids.ts";
import { createMemoryKv, type Program, type Transaction } from "../../src/kv/index.ts";
import { SortedTable } from "../../src/kv/engines/sorted-table.ts";
import {
  checkCatalog,
  commitVersion,
  initialize,
  listPage,
  makeDirectory,
  removeDirectory,
  removeFile,
  rename,
} from "../../src/namespace/index.ts";
import { nextTestId, testCommit, testVersion } from "../../src/namespace/testing/model.ts";
import { runInterleaved } from "./kv/interleave.ts";

const NAMES = ["a", "b", "a/b", "a/b/c", "b/c", "c"];

type Action = {
  readonly kind: "put" | "remove" | "mkdir" | "rmdir" | "mv" | "mvdir";
  readonly path: string;
  readonly to: string;
};

const actionArbitrary: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom(
    "put" as const,
    "remove" as const,
    "mkdir" as const,
    "rmdir" as const,
    "mv" as const,
    "mvdir" as const,
  ),
  path: fc.constantFrom(...NAMES),
  to: fc.constantFrom(...NAMES),
});

function programOf(action: Action, nextInode: () => Inode): (tx: Transaction) => Program<unknown> {
  const path = action.path as FilePath;
  const to = action.to as FilePath;
  const id = nextTestId();
  const maker = { nowMs: 2_000, nextInode };
  switch (action.kind) {
    case "put":
      return (tx) => commitVersion(tx, testCommit(path, nextInode, testVersion(path, { id, key: `objects/${id}` })));
    case "remove":
      return (tx) => removeFile(tx, { path, expect: { kind: "any" }, nowMs: 2_000, tombstoneVersionId: id });
    case "mkdir":
      return (tx) =>
        makeDirectory(tx, { ...maker, path, mode: 0o755, uid: 0, gid: 0, parents: true, existing: "keep" });
    case "rmdir":
      return (tx) => removeDirectory(tx, { path, semantics: "directory", nowMs: 2_000 });
    case "mv":
      return (tx) => rename(tx, { ...maker, from: path, to, directory: false, overwrite: true });
    case "mvdir":
      return (tx) => rename(tx, { ...maker, from: path, to, directory: true, overwrite: true });
  }
}

/** Runs the actions one after the other in the given order and says what the tree looks like. */
async function serially(actions: readonly Action[], order: readonly number[]): Promise<string[]> {
  const kv = createMemoryKv();
  await kv.transact((tx) => initialize(tx, 1_000));
  let inode = 1;
  for (const index of order) {
    await kv.transact(programOf(actions[index] as Action, () => ++inode as Inode)).catch(() => undefined);
  }
  const page = await kv.view((tx) => listPage(tx, { prefix: "", limit: 1_000 }));
  return page.files.map(({ key }) => key);
}

describe("programs that run at the same time", () => {
  it("leave a tree that some order of them, one after the other, would have left", async () => {
    let reruns = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(actionArbitrary, { minLength: 5, maxLength: 10, size: "max" }),
        fc.integer(),
        async (actions, seed) => {
          const table = new SortedTable();
          let inode = 1;
          const nextInode = (): Inode => ++inode as Inode;
          runInterleaved(table, [(tx) => initialize(tx, 1_000)], seededRandom(1));
          const run = runInterleaved(
            table,
            actions.map((action) => programOf(action, nextInode)),
            seededRandom(seed),
          );
          reruns += run.reruns;
          const kv = createMemoryKv();
          await kv.transact(function* (tx): Program<void> {
            for (const { key, value } of table.range({
              start: Buffer.from([0]),
              end: Buffer.from([0xff]),
              limit: 10_000,
            }))
              tx.put(key, value);
          });
          expect((await checkCatalog(kv)).faults).toEqual([]);
          const listed = await kv.view((tx) => listPage(tx, { prefix: "", limit: 1_000 }));
          expect(listed.files.map(({ key }) => key)).toEqual(await serially(actions, run.commitOrder));
        },
      ),
      { numRuns: 1_000 },
    );
    // Without contention the test would prove nothing.
    expect(reruns).toBeGreaterThan(100);
  }, 60_000);
});
