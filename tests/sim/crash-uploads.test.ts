import { expect, it } from "vitest";
import { chunksOf, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { World } from "./crash/world.ts";

/** A client whose answer to the completion never came asks again, or does not: either way the object is there in the end, once and whole. */

const SITES = { local: "primary", second: "primary" } as const;
const BODY = "part".repeat(200);

interface Lost {
  readonly world: World;
  readonly complete: () => Promise<string>;
}

/** The process dies at the given step of the completion; undefined once there are not so many. */
async function loseCompletion(step: number, moment: "before" | "after"): Promise<Lost | undefined> {
  const world = new World({ sites: SITES });
  await world.start();
  await world.put("d/x", "old");
  const { uploadId } = await world.rig.coordinator.createUpload(rigCtx, { key: "d/x" });
  const bytes = Buffer.from(BODY);
  const part = { key: "d/x", uploadId, partNumber: 1, sizeBytes: bytes.length };
  const { etag } = await world.rig.coordinator.putPart(rigCtx, { ...part, body: chunksOf(bytes) });
  const complete = async (): Promise<string> => {
    const request = { key: "d/x", uploadId, parts: [{ partNumber: 1, etag }] };
    return (await world.rig.coordinator.completeUpload(rigCtx, request)).meta.versionId;
  };
  await world.start({ step, moment });
  world.life.startCounting();
  await complete().catch(() => undefined);
  if (!world.life.isDead) return undefined;
  await world.start();
  return { world, complete };
}

async function everywhere(check: (lost: Lost) => Promise<void>): Promise<number> {
  let points = 0;
  for (let step = 1; ; step++) {
    for (const moment of ["before", "after"] as const) {
      const lost = await loseCompletion(step, moment);
      if (lost === undefined) return points;
      points += 1;
      await check(lost);
    }
  }
}

it("repeating a completion whose process died completes it, with one answer", { timeout: 60_000 }, async () => {
  const points = await everywhere(async ({ world, complete }) => {
    const versionId = await complete();
    expect(await complete()).toBe(versionId);
    await world.settle();
    expect(await world.files()).toEqual(new Map([["d/x", BODY]]));
    expect(await world.faults(new Map([["d/x", BODY]]))).toEqual([]);
  });
  expect(points).toBeGreaterThan(6);
});

it("the leader finishes a completion whose process died, once the sites may show it", { timeout: 60_000 }, async () => {
  let finished = 0;
  await everywhere(async ({ world }) => {
    for (let turn = 0; turn < 4; turn++) await world.settle();
    const files = await world.files();
    expect([BODY, "old"]).toContain(files.get("d/x"));
    if (files.get("d/x") === BODY) finished += 1;
    const { uploads } = await world.rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 });
    expect(uploads).toHaveLength(files.get("d/x") === BODY ? 0 : 1);
    expect(await world.faults(files)).toEqual([]);
  });
  expect(finished).toBeGreaterThan(3);
});
