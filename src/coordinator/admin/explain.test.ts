import { describe, expect, it } from "vitest";
import { rigCtx } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";

const TWO = { local: "primary", cloud: "burst" } as const;

const notesOf = async (rig: TimedRig<"local" | "cloud">, key: string): Promise<readonly string[]> =>
  (await rig.coordinator.explain(rigCtx, key)).notes;

describe("what explain says of an object", () => {
  it("is nothing while all is well", async () => {
    const rig = await startTimed(TWO);
    await rig.put("x", "1");
    await rig.pass();
    expect(await rig.coordinator.explain(rigCtx, "x")).toMatchObject({
      exists: true,
      kind: "file",
      notes: [],
      jobs: [],
    });
  });

  it("is that nobody has it, or when it was deleted", async () => {
    const rig = await startTimed(TWO);
    expect(await rig.coordinator.explain(rigCtx, "x")).toMatchObject({
      exists: false,
      notes: ["Neither the catalog nor any site that answered has it."],
    });
    await rig.put("x", "1");
    await rig.coordinator.deleteObject(rigCtx, "x");
    const deletedMs = rig.clock.nowMs();
    expect(await rig.coordinator.explain(rigCtx, "x")).toMatchObject({
      exists: false,
      notes: [`It was deleted at ${new Date(deletedMs).toISOString()}; older objects at the sites stay hidden.`],
      deleted: { atMs: deletedMs },
    });
  });

  it("is which copy waits, which one was given up, and under which key one still lies", async () => {
    const rig = await startTimed(TWO);
    await rig.coordinator.pauseAllJobs(rigCtx, true, { by: "alice" });
    const since = new Date(rig.clock.nowMs()).toISOString();
    await rig.put("x", "1");
    const paused = `All jobs are paused since ${since} by alice; \`globalfs jobs resume --all\` lets them go on.`;
    expect(await notesOf(rig, "x")).toEqual([paused, "The copy at cloud waits for its job."]);
    await rig.coordinator.rename(rigCtx, { from: "x", to: "y" });
    expect(await notesOf(rig, "y")).toEqual([
      paused,
      "At local the object still has the key x; a publish job brings it to y.",
      "The copy at cloud waits for its job.",
      "At cloud the object still has the key x; a publish job brings it to y.",
    ]);
    const [job] = (await rig.jobsIn("waiting")).filter(({ kind }) => kind === "replicate");
    await rig.coordinator.cancelJob(rigCtx, job?.id as never);
    expect(await notesOf(rig, "y")).toContain(
      "Copying to cloud was given up: Its job was canceled. `globalfs replicate` tries again.",
    );
  });

  it("is that its site is not registered any more, and that nobody who is well has it", async () => {
    const rig = await startTimed({ local: "primary", cloud: "burst", other: "backup" });
    await rig.put("x", "1");
    await rig.pass();
    await rig.coordinator.removeSite(rigCtx, "cloud", { force: true });
    expect(await notesOf(rig as never, "x")).toEqual([
      "Site cloud is not registered any more; its copy counts for nothing.",
    ]);
    await rig.coordinator.removeSite(rigCtx, "other", { force: true });
    rig.sites.local.failing.add("*");
    await rig.clock.advance(120_000);
    expect(await notesOf(rig as never, "x")).toContain("No healthy site holds it now: reads fail until one answers.");
  });

  it("of a directory asks no copies of it", async () => {
    const rig = await startTimed(TWO);
    await rig.put("d/", "");
    expect(await rig.coordinator.explain(rigCtx, "d/")).toMatchObject({
      exists: true,
      kind: "directory",
      notes: [],
      copies: [],
    });
  });
});
