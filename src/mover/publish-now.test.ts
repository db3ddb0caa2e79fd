import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import type { Copy } from "../namespace/index.ts";
import { MoverRig } from "./testing/rig.ts";

const ctx = backgroundCtx();
let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local"]).start();
  await rig.put("file", "old", { to: [] });
  // From here on nothing runs but what a test asks for.
  await rig.mover.stop();
});
afterEach(async () => await rig.mover.stop());

/** A version that landed beside the file's path, and the job that is to bring it there. */
async function landed(body: string): Promise<{ readonly id: JobId; readonly copy: Copy }> {
  await rig.put("file", body, { to: [] });
  const jobs = (await rig.jobs()).filter(({ kind }) => kind === "publish");
  return { id: jobs.at(-1)?.id as JobId, copy: (await rig.copy("file", "local")) as Copy };
}

/** The jobs' rows go behind the answer. */
async function rows(): Promise<string[]> {
  await rig.mover.stop();
  return (await rig.jobs()).map(({ kind, state }) => `${kind} ${state}`);
}

describe("publishing while the caller of a write waits", () => {
  it("brings the version to its path, takes away where it landed, and leaves no job", async () => {
    const { id, copy } = await landed("new");
    await rig.mover.publishNow(ctx, [id]);
    expect([await rig.bodyAt("local", "file"), await rig.bodyAt("local", copy.key)]).toEqual(["new", undefined]);
    expect(await rig.copy("file", "local")).toMatchObject({ key: "file", state: "present" });
    expect(await rows()).toEqual([]);
  });

  it("is left to the mover while all jobs are paused", async () => {
    const { id } = await landed("new");
    await rig.mover.pauseAll(true);
    await rig.mover.publishNow(ctx, [id]);
    expect([await rig.bodyAt("local", "file"), await rows()]).toEqual(["old", ["publish waiting"]]);
    await rig.mover.pauseAll(false);
    await rig.restart();
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBe("new");
  });

  it("is left to the mover while another job of the path comes first", async () => {
    const written = await rig.put("other", "bytes", { to: [] });
    await rig.order("verify", written, "local", { path: "file" as never });
    const { id } = await landed("new");
    await rig.mover.publishNow(ctx, [id]);
    expect([await rig.bodyAt("local", "file"), await rows()]).toEqual(["old", ["verify waiting", "publish waiting"]]);
  });

  it("is left to the mover when it does not go well at once, and the write has happened all the same", async () => {
    const { id } = await landed("new");
    rig.store("local").script.before = ({ operation }) => {
      if (operation === "copy") throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.mover.publishNow(ctx, [id]);
    expect([await rig.bodyAt("local", "file"), await rows()]).toEqual(["old", ["publish waiting"]]);
    rig.store("local").script = {};
    await rig.restart();
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBe("new");
  });

  it("has nothing to do for a job that is gone", async () => {
    await rig.mover.publishNow(ctx, ["none" as JobId]);
    expect([await rig.bodyAt("local", "file"), await rows()]).toEqual(["old", []]);
  });
});
