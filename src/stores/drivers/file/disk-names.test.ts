import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { besideOf, decodeName, isInOwnCorner, placeOf } from "./disk-names.ts";

/** Reads a place back, as a walk over the disk does. */
function keyOf(key: string): string | undefined {
  const { directories, name } = placeOf(key);
  const components: string[] = [];
  let before: Buffer | undefined;
  for (const [index, each] of [...directories, name].entries()) {
    const decoded = decodeName(each, index === directories.length ? "file" : "directory", before);
    if (decoded === undefined) return undefined;
    before = decoded.kind === "piece" ? decoded.bytes : undefined;
    if (decoded.kind !== "piece") components.push(decoded.component);
  }
  return components.join("/");
}

describe("names on a disk", () => {
  it("are the components of a key as they are, so that the tree can be browsed", () => {
    expect(placeOf("dir/a b/é")).toEqual({ directories: ["dir", "a b"], name: "é", beside: ".globalfs~oé" });
    expect(placeOf("x".repeat(244))).toMatchObject({ name: "x".repeat(244) });
  });

  it("are escaped where a disk cannot have them, or where they are ours", () => {
    const hex = (text: string): string => Buffer.from(text).toString("hex");
    for (const odd of ["", ".", "..", ".globalfs", ".globalfs~x"]) {
      expect(placeOf(odd)).toEqual({ directories: [], name: `.globalfs~e${hex(odd)}` });
      expect(placeOf(`${odd}/a`)).toMatchObject({ directories: [`.globalfs~d${hex(odd)}`], name: "a" });
      expect(besideOf(odd)).toBeUndefined();
    }
    expect(besideOf("a")).toBe(".globalfs~oa");
    const long = placeOf("x".repeat(245));
    expect(long).toEqual({
      directories: [`.globalfs~p${hex("x".repeat(110))}`, `.globalfs~p${hex("x".repeat(110))}`],
      name: `.globalfs~e${hex("x".repeat(25))}`,
    });
    expect(placeOf("x".repeat(330)).directories.length).toBe(2);
    expect(placeOf("x".repeat(331)).directories.length).toBe(3);
  });

  it("lead back to the key, whatever it is, and have 255 bytes at most", () => {
    const component = fc.oneof(
      fc.constantFrom("", ".", "..", ".globalfs", ".globalfs~o", ".globalfs~", "a"),
      fc
        .string({ unit: "grapheme", maxLength: 400 })
        .map((text) => text.replaceAll(/[/\0\uFFFD]|\p{Surrogate}/gu, "-")),
      fc.integer({ min: 200, max: 700 }).map((length) => "é".repeat(length)),
    );
    fc.assert(
      fc.property(fc.array(component, { minLength: 1, maxLength: 4 }), (components) => {
        const key = components.join("/");
        const { directories, name, beside = "" } = placeOf(key);
        expect(keyOf(key)).toBe(key);
        for (const each of [...directories, name, beside]) {
          expect(Buffer.byteLength(each)).toBeLessThanOrEqual(255);
          expect(["", ".", "..", ".globalfs"].includes(each) && each !== beside).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("that GlobalFS did not make are no objects where they could not be asked for", () => {
    const hex = Buffer.from("a").toString("hex");
    for (const odd of [
      "what\uFFFDis this",
      ".globalfs",
      // Of names that need no escape, and of none.
      `.globalfs~e${hex}`,
      ".globalfs~o.globalfs",
      ".globalfs~o",
      ".globalfs~e2",
      ".globalfs~eXY",
      ".globalfs~eff",
      `.globalfs~e${Buffer.from("../a").toString("hex")}`,
      `.globalfs~e${Buffer.from(".\0").toString("hex")}`,
      ".globalfs~x2e",
    ])
      for (const kind of ["file", "directory"] as const) expect(decodeName(odd, kind, undefined), odd).toBeUndefined();
    expect(decodeName(".globalfs~e2e", "directory", undefined)).toBeUndefined();
    expect(decodeName(".globalfs~d2e", "file", undefined)).toBeUndefined();
    expect(decodeName(".globalfs~p2e", "file", undefined)).toBeUndefined();
    expect(decodeName(".globalfs~oa", "directory", undefined)).toBeUndefined();
    expect(decodeName(".globalfs~oa", "file", Buffer.from("x"))).toBeUndefined();
    // Below the first bytes of a long name there is nothing but its rest.
    expect(decodeName("a", "file", Buffer.from("x"))).toBeUndefined();
    expect(decodeName(".globalfs~oa", "file", undefined)).toEqual({ kind: "object", component: "a" });
  });

  it("tell the corner of objects whose keys no path can be", () => {
    expect(
      [".globalfs/landed/x", ".globalfs", "a/.globalfs/x", ".globalfs-/x"].map((key) => isInOwnCorner(placeOf(key))),
    ).toEqual([true, false, false, false]);
  });
});
