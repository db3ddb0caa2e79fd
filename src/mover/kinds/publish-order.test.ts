import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { MoverRig } from "../testing/rig.ts";

let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local"]).start();
});
afterEach(async () => await rig.mover.stop());

describe("an object that is brought to its path", () => {
  it("lies there for good before the catalog counts on it, also where an attempt that died has brought it there", async () => {
    await rig.put("file", "old", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.put("file", "new", { to: [] });
    const landed = (await rig.copy("file", "local"))?.key as string;
    const { script } = rig.store("local");
    script.before = ({ operation }) => {
      if (operation === "flush") throw new GfsError("Unavailable", "The disk is away.");
    };
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBe("new");
    expect(await rig.copy("file", "local")).toMatchObject({ key: landed, home: "file" });
    expect(await rig.job({ kind: "publish" })).toMatchObject({
      state: "waiting",
      reason: "The disk is away.",
      attempts: 1,
    });
    const events: string[] = [];
    script.before = ({ operation, key }) => void events.push(`${operation} ${key}`);
    await rig.clock.advance(10_000);
    await rig.idle();
    // What it was to replace is not there any more: it looks, and finds that it has been there.
    expect(events).toEqual([`copy ${landed}`, "head file", "flush file", `delete ${landed}`]);
    expect(await rig.copy("file", "local")).toMatchObject({ key: "file" });
  });

  it("replaces what it is to replace without a look at it where the site keeps to conditions", async () => {
    await rig.put("file", "old", { to: [] });
    rig.store("local").script.before = ({ operation }) => void operations.push(operation);
    const operations: string[] = [];
    await rig.put("file", "new", { to: [] });
    await rig.idle();
    expect(operations.slice(operations.indexOf("copy"))).toEqual(["copy", "flush", "delete"]);
    expect(operations).not.toContain("head");
  });

  it("leaves no job behind when that went well at once, and one that tells of it when it had to be tried again", async () => {
    await rig.put("file", "old", { to: [] });
    await rig.put("file", "new", { to: [] });
    await rig.idle();
    expect([await rig.jobs(), await rig.mover.depth()]).toEqual([[], 0]);
    const { script } = rig.store("local");
    script.before = ({ operation }) => {
      if (operation === "copy") throw new GfsError("Unavailable", "The disk is away.");
    };
    await rig.put("file", "newest", { to: [] });
    await rig.idle();
    delete script.before;
    await rig.clock.advance(10_000);
    await rig.idle();
    expect(await rig.jobs()).toMatchObject([{ kind: "publish", state: "done", attempts: 2 }]);
  });
});
