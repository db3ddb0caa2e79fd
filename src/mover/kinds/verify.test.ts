import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import type { Copy } from "../../namespace/index.ts";
import { MoverRig } from "../testing/rig.ts";

let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local", "cloud"]).start();
});
afterEach(async () => await rig.mover.stop());

describe("a copy that is read back", () => {
  it("is none when its site, its file, its version or the copy is gone", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    const NONE = { state: "done", reason: "There is no such copy any more." };
    const elsewhere = await rig.order("verify", written, "elsewhere");
    const single = await rig.put("single", "bytes", { to: [] });
    const nowhere = await rig.order("verify", single, "cloud");
    await rig.put("file", "newer");
    await rig.idle();
    for (const { id } of [elsewhere, nowhere]) expect(await rig.mover.get(id)).toMatchObject(NONE);
    const old = await rig.order("verify", written, "cloud");
    await rig.remove("file");
    const gone = await rig.order("verify", written, "local");
    await rig.idle();
    for (const { id } of [old, gone]) expect(await rig.mover.get(id)).toMatchObject(NONE);
  });

  it("is not read while its bytes are on their way", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    await rig.setCopy(written, "local", { state: "pending" });
    const { id } = await rig.order("verify", written, "local");
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({ state: "done", reason: "The bytes are still on their way." });
    expect(rig.store("local").count("get")).toBe(0);
  });

  it("is asked for again when its site is away", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    rig.store("local").script.before = ({ operation }) => {
      if (operation === "get") throw new GfsError("Unavailable", "The site is away.");
    };
    const { id } = await rig.order("verify", written, "local");
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({ state: "waiting", reason: "The site is away." });
    expect(await rig.copy("file", "local")).toMatchObject({ state: "present" });
  });

  it("is repaired over what lay there when its site found out half-way that its own bytes are corrupt", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    const { etag } = (await rig.copy("file", "cloud")) as Copy;
    rig.store("cloud").script.body = (body) => ({
      ...body,
      stream: (async function* () {
        yield Buffer.from("by");
        throw new GfsError("DataCorrupt", "The site gave other bytes than its checksum says.");
      })(),
    });
    await rig.order("verify", written, "cloud");
    await rig.until(async () => (await rig.job({ kind: "repair" })) !== undefined);
    expect(await rig.job({ kind: "repair" })).toMatchObject({ etag, priority: 5, key: "file", sizeBytes: 5 });
    await rig.idle();
  });

  it("orders no repair of a version that was deleted while it was read", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    rig.store("local").script.before = async ({ operation }) => {
      if (operation !== "get") return;
      rig.store("local").script = {};
      await rig.remove("file");
      throw new GfsError("DataCorrupt", "The site gave other bytes than its checksum says.");
    };
    const { id } = await rig.order("verify", written, "local");
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({
      state: "done",
      reason: "The site holds other bytes than were written.",
    });
    expect((await rig.jobs()).map(({ kind }) => kind)).toEqual(["verify", "remove"]);
  });

  it("is repaired when its site gives fewer bytes than were written, where no checksum is known, too", async () => {
    const written = await rig.put("file", "bytes", { withoutChecksum: true });
    await rig.idle();
    rig.store("cloud").script.body = (body) => {
      rig.store("cloud").script = {};
      return {
        ...body,
        stream: (async function* () {
          yield Buffer.from("byte");
        })(),
      };
    };
    await rig.order("verify", written, "cloud");
    await rig.idle();
    expect(await rig.job({ kind: "verify" })).toMatchObject({
      reason: "The site holds other bytes than were written.",
      bytesDone: 4,
    });
    expect(await rig.job({ kind: "repair" })).toMatchObject({ state: "done" });
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });

  it("that was adopted as found stays what it is when it is right", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    const before = await rig.copy("file", "local");
    await rig.setCopy(written, "local", { state: "foreign" });
    await rig.order("verify", written, "local");
    await rig.idle();
    expect(await rig.copy("file", "local")).toEqual({ ...before, state: "foreign" });
  });

  it("that nobody knew the content of is what lies there, when that is right", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    const before = await rig.copy("file", "local");
    await rig.setCopy(written, "local", { state: "stale", etag: undefined, reason: "Its write was never answered." });
    await rig.order("verify", written, "local");
    await rig.idle();
    const { changedMs: _, ...after } = (await rig.copy("file", "local")) as Copy;
    expect({ ...after, changedMs: before?.changedMs }).toEqual(before);
  });
});
