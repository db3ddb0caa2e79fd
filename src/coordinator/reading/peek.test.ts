import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Rig, rigCtx, startRig } from "../testing/rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
  for (const key of ["data/a", "data/b"]) {
    await rig.put(key, `of ${key}`);
    await rig.read(key);
  }
});
afterEach(async () => {
  await rig.stop();
});

const peek = (key: string) => rig.coordinator.peekObject(key);
const bodyOf = (key: string): string | undefined => {
  const found = peek(key);
  return found === undefined ? undefined : Buffer.from(found.bytes).toString();
};

describe("what is known of an object without asking anybody", () => {
  it("stays the very same while other objects come and go", async () => {
    const before = peek("data/a");
    expect(before?.meta.key).toBe("data/a");
    await rig.put("data/c", "another");
    await rig.coordinator.deleteObject(rigCtx, "data/b");
    expect(peek("data/a")?.meta).toBe(before?.meta);
    expect(bodyOf("data/b")).toBeUndefined();
  });

  it("is new with a new version, also of the same bytes", async () => {
    const before = peek("data/a")?.meta;
    await rig.put("data/a", "of data/a", { contentType: "text/plain" });
    await rig.read("data/a");
    const after = peek("data/a")?.meta;
    expect(after?.versionId).not.toBe(before?.versionId);
    expect(after?.contentType).toBe("text/plain");
  });

  it("follows the name when its directory is renamed and another takes its place", async () => {
    expect(bodyOf("data/a")).toBe("of data/a");
    await rig.coordinator.rename(rigCtx, { from: "data/", to: "old/" });
    expect([bodyOf("data/a"), bodyOf("old/a")]).toEqual([undefined, "of data/a"]);
    await rig.put("data/a", "its successor");
    await rig.read("data/a");
    expect([bodyOf("data/a"), bodyOf("old/a")]).toEqual(["its successor", "of data/a"]);
  });
});
