import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import type { FilePath } from "../../core/ids.ts";
import { bytesAt, putBytes } from "../../stores/testing/scripted-store.ts";
import { MoverRig, type Written } from "../testing/rig.ts";

const ctx = backgroundCtx();
let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local"]).start();
});
afterEach(async () => await rig.mover.stop());

/** A file called b whose object lies under a, because another tool's lies under b, and a new file a that is to be published there. */
async function blocked(): Promise<Written> {
  const file = await rig.put("a", "of b", { to: [] });
  await rig.mover.pauseAll(true);
  await rig.rename("a", "b");
  await rig.clock.advance(1_000);
  await putBytes(rig.store("local"), "b", "theirs");
  await rig.mover.pauseAll(false);
  await rig.idle();
  expect(await rig.job({ kind: "publish" })).toMatchObject({ state: "failed" });
  await rig.put("a", "of a", { to: [] });
  return { ...file, path: "b" as FilePath };
}

const keys = async (): Promise<string[]> =>
  (await rig.store("local").list(ctx, { limit: 10 })).objects.map(({ key }) => key);
const aside = ({ version }: Written): string => `.globalfs/landed/${version.id}-aside`;

describe("an object under a path that is another file's by now", () => {
  it("steps aside after four looks, where no job takes it away, and stays its file's", async () => {
    const file = await blocked();
    await rig.until(async () => (await rig.job({ path: "a" as FilePath, state: "waiting" }))?.attempts === 1);
    expect(await rig.bodyAt("local", "a")).toBe("of b");
    await rig.clock.advance(120_000);
    await rig.idle();
    expect([await rig.bodyAt("local", "a"), await rig.bodyAt("local", "b")]).toEqual(["of a", "theirs"]);
    expect(await rig.copy("b", "local")).toMatchObject({ key: aside(file), state: "present" });
    expect((await bytesAt(rig.store("local"), aside(file)))?.toString()).toBe("of b");
    // And nothing else is left.
    expect(await keys()).toEqual([aside(file), "a", "b"]);
  });

  it("is flushed there before the catalog counts on it", async () => {
    const file = await blocked();
    const events: string[] = [];
    rig.store("local").script.before = async ({ operation, key }) => {
      if (key === aside(file)) events.push(`${operation} ${(await rig.copy("b", "local"))?.key}`);
    };
    await rig.clock.advance(120_000);
    await rig.idle();
    expect(events).toEqual(["flush a"]);
  });

  it("stays while a job is there that is to take it away", async () => {
    const file = await blocked();
    const { id } = await rig.order("publish", file, "local", { key: "a" });
    await rig.mover.pause(id);
    await rig.clock.advance(120_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "a")).toBe("of b");
    expect(await rig.copy("b", "local")).toMatchObject({ key: "a" });
  });

  it("stays while nobody can read it", async () => {
    const file = await blocked();
    await rig.setCopy(file, "local", { state: "stale" });
    await rig.clock.advance(120_000);
    await rig.idle();
    expect([await rig.bodyAt("local", "a"), (await rig.copy("b", "local"))?.key]).toEqual(["of b", "a"]);
  });

  it("leaves no copy behind when its file was changed meanwhile", async () => {
    const file = await blocked();
    rig.store("local").script.before = async ({ operation, key }) => {
      if (operation !== "flush" || key !== aside(file)) return;
      rig.store("local").script = {};
      await rig.setCopy(file, "local", { key: "elsewhere" });
    };
    await rig.clock.advance(120_000);
    await rig.idle();
    expect((await rig.copy("b", "local"))?.key).toBe("elsewhere");
    expect(await bytesAt(rig.store("local"), aside(file))).toBeUndefined();
    expect(await rig.bodyAt("local", "a")).toBe("of a");
  });
});

it("a file that was once to be published under a path that is another's gives that up", async () => {
  const file = await blocked();
  await rig.setCopy(file, "local", { key: ".globalfs/landed/of-b", home: "a" });
  await putBytes(rig.store("local"), ".globalfs/landed/of-b", "of b");
  await rig.clock.advance(120_000);
  await rig.idle();
  expect(await rig.copy("b", "local")).toEqual(expect.not.objectContaining({ home: expect.anything() as unknown }));
  expect(await rig.copy("b", "local")).toMatchObject({ key: ".globalfs/landed/of-b" });
  expect(await rig.bodyAt("local", "a")).toBe("of a");
});
