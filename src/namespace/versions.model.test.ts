import fc from "fast-check";
import { describe, it } from "vitest";
import { createMemoryKv } from "../kv/index.ts";
import { BUCKETS, type Command, VersionSystem } from "./testing/version-system.ts";

const NAMES = ["a", "a-b", "a.b", "d/x", "d/y", "d/d/x", "d-e/x", "e/x", "e/d/x", "z"];
/** Most is to happen where directories may come on top of each other. */
const bucketArbitrary = fc.constantFrom("kept", "kept", "kept", ...BUCKETS);
const pathArbitrary = fc.tuple(bucketArbitrary, fc.constantFrom(...NAMES)).map(([bucket, name]) => `${bucket}/${name}`);
const directoryArbitrary = fc
  .tuple(bucketArbitrary, fc.constantFrom("d", "d-e", "d/d", "e", "e/d", "new"))
  .map(([bucket, name]) => `${bucket}/${name}`);

const commandArbitrary: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("put" as const), path: pathArbitrary }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), path: pathArbitrary }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("deleteVersion" as const), path: pathArbitrary, index: fc.nat(3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("hold" as const),
      path: pathArbitrary,
      index: fc.nat(3),
      on: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("rename" as const),
      from: pathArbitrary,
      to: pathArbitrary,
      overwrite: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("renameDirectory" as const),
      from: directoryArbitrary,
      to: directoryArbitrary,
      overwrite: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("versioning" as const),
      state: fc.constantFrom("enabled" as const, "suspended" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      prefix: fc.constantFrom("", "kept/", "kept/d", "kept/d/", "locked/", "plain/a"),
      delimiter: fc.boolean(),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
);

describe("versions of keys against a simple stack for each", () => {
  it("agree after any commands", async () => {
    const runs = process.env["GLOBALFS_LONG"] === "1" ? 3_000 : 200;
    await fc.assert(
      fc.asyncProperty(fc.array(commandArbitrary, { minLength: 20, maxLength: 80, size: "max" }), async (commands) => {
        const system = new VersionSystem(createMemoryKv());
        await system.prepare();
        for (const command of commands) await system.apply(command);
        await system.verify();
        await system.kv.close();
      }),
      { numRuns: runs },
    );
  }, 300_000);
});
