import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareKeys } from "../../object-key.ts";
import { displacementsOf, isOpen, keyOf, namePrefixOf, nameOf, UPLOADS_DIRECTORY } from "./names.ts";

const piece = fc.oneof(
  fc.constantFrom(
    ".",
    "..",
    "/",
    "\\",
    "%",
    "%2E",
    "%25",
    "%5C",
    "%2",
    "\n",
    "é",
    "\u{1F600}",
    "\uE000",
    "-",
    UPLOADS_DIRECTORY,
  ),
  fc.string({ unit: "grapheme", maxLength: 3 }),
);
const key = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join("").replaceAll("\0", "0"));

describe("keys as blob names", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(key, (one) => {
        expect(keyOf(nameOf(one))).toBe(one);
      }),
    );
  });

  it("survive as paths of addresses", () => {
    fc.assert(
      fc.property(key, (one) => {
        const name = nameOf(one);
        const sent = new URL(`http://host/container/${encodeURIComponent(name).replaceAll("%2F", "/")}`).pathname;
        expect(decodeURIComponent(sent)).toBe(`/container/${name}`);
        expect(name).not.toContain("\\");
      }),
    );
  });

  it("never are where uploads are kept", () => {
    expect(nameOf(`${UPLOADS_DIRECTORY}/x`).startsWith(`${UPLOADS_DIRECTORY}/`)).toBe(false);
  });

  it.each(["plain/é.txt", "100%", "a/.hidden/..b", "50%2f", "trailing/"])("are mostly the same: %s", (same) => {
    expect(nameOf(same)).toBe(same);
  });

  it.each(["a%2Eb", "%2E%2Ex", "x%41%5C"])("leave out names that no key makes: %s", (name) => {
    expect(keyOf(name)).toBeUndefined();
  });

  it("are all found below the prefix that is asked for", () => {
    fc.assert(
      fc.property(key, fc.nat(), (one, at) => {
        const prefix = one.slice(0, at % (one.length + 1)).replace(/[\uD800-\uDBFF]$/, "");
        expect(nameOf(one).startsWith(namePrefixOf(prefix))).toBe(true);
      }),
    );
  });

  it("may be put in order as soon as nothing is open any more", () => {
    // Control characters belong before what precedes them, which no waiting cures.
    const orderly = key.filter((one) => Buffer.from(one).every((byte) => byte >= 0x20));
    fc.assert(
      fc.property(fc.uniqueArray(orderly, { maxLength: 12 }), (keys) => {
        const names = keys.map(nameOf).sort();
        let held: string[] = [];
        let open: ReturnType<typeof displacementsOf> = [];
        const out: string[] = [];
        for (const name of names) {
          held.push(keyOf(name) ?? "");
          open = [...open, ...displacementsOf(name)].filter((one) => isOpen(one, name));
          if (open.length > 0) continue;
          out.push(...held.sort(compareKeys));
          held = [];
        }
        out.push(...held.sort(compareKeys));
        expect(out).toEqual(keys.toSorted(compareKeys));
      }),
      { numRuns: 1_000 },
    );
  });
});
