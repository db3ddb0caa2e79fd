import fc from "fast-check";

/** What is done to a tree, on a disk and in a catalog, and how a tree looks afterwards. */

export type Kind = "file" | "fifo" | "socket" | "characterDevice" | "blockDevice";

export type Command = { readonly who: number } & (
  | { readonly op: "mknod"; readonly path: string; readonly kind: Kind; readonly mode: number }
  | { readonly op: "mkdir"; readonly path: string; readonly mode: number }
  | { readonly op: "symlink"; readonly path: string; readonly target: string }
  | { readonly op: "link" | "rename" | "renameNoReplace" | "exchange"; readonly path: string; readonly to: string }
  | { readonly op: "unlink" | "rmdir" | "lstat" | "readdir" | "readlink" | "listxattr"; readonly path: string }
  | { readonly op: "chmod"; readonly path: string; readonly mode: number }
  | { readonly op: "chown"; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly op: "utimes"; readonly path: string; readonly accessed: Time; readonly modified: Time }
  | {
      readonly op: "setxattr";
      readonly path: string;
      readonly name: string;
      readonly value: string;
      readonly only: 0 | 1 | 2;
    }
  | { readonly op: "getxattr" | "removexattr"; readonly path: string; readonly name: string }
);

export type Time = "now" | "omit" | { readonly seconds: number; readonly nanoseconds: number };

/** Who does it. The first is root; the others share a group. */
export const CALLERS = [
  { uid: 0, gid: 0, groups: [] },
  { uid: 1_000, gid: 1_000, groups: [1_000, 3_000] },
  { uid: 2_000, gid: 2_000, groups: [3_000] },
] as const;

/** A device number as the kernel packs it. */
export const RDEV = 0x103;
export const ROOT_MODE = 0o777;

export interface Node {
  readonly inode: number;
  readonly kind: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly size?: number;
  readonly rdev?: number;
  readonly target?: string;
  readonly attributes: string;
  /** Nanoseconds since 1970, in decimal. */
  readonly modified: string;
  readonly changed: string;
}

export interface Step {
  /** `ok` with what was read, or the errno. */
  readonly outcome: string;
  readonly tree: Readonly<Record<string, Node>>;
}

const PATHS = ["a", "b", "c", "a/b", "a/c", "b/a", "b/c", "a/b/c", "a/b/a", "b/a/c", "\udcff", "a/\udcfe\n"];
const pathArbitrary = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...PATHS) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("x".repeat(256), `a/${"é".repeat(128)}`, "a/../b", "a/./b"),
  },
);
/** rename(2) has rules of its own for these. */
const slashArbitrary = fc.oneof(
  { weight: 8, arbitrary: pathArbitrary },
  { weight: 1, arbitrary: fc.constantFrom("c/", "a/", "b/c/") },
);
const modeArbitrary = fc.constantFrom(
  0o755,
  0o755,
  0o777,
  0o700,
  0o1777,
  0o2775,
  0o2755,
  0o644,
  0o666,
  0o4755,
  0o6711,
  0o000,
  0o070,
  0o707,
);
const ownerArbitrary = fc.constantFrom(-1, 0, 1_000, 2_000, 3_000);
/** One that changes neither fails for a file that runs as its owner, and only for that: the kernel would take the bit away. */
const changeOfOwners = fc
  .tuple(ownerArbitrary, ownerArbitrary)
  .chain(([uid, gid]) =>
    command("chown", { uid: fc.constant(uid === -1 && gid === -1 ? 0 : uid), gid: fc.constant(gid) }),
  );
const timeArbitrary: fc.Arbitrary<Time> = fc.oneof(
  fc.constantFrom("now" as const, "omit" as const),
  fc.record({ seconds: fc.integer({ min: -1_000_000, max: 1_000_000_000 }), nanoseconds: fc.nat(999_999_999) }),
);
const attributeArbitrary = fc.constantFrom("user.a", "user.b", "trusted.a");

function command(op: string, fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Command> {
  return fc.record({
    op: fc.constant(op),
    who: fc.constantFrom(0, 0, 1, 1, 2),
    path: pathArbitrary,
    ...fields,
  }) as unknown as fc.Arbitrary<Command>;
}

export const commandArbitrary: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: command("mknod", {
      kind: fc.constantFrom("file", "file", "file", "fifo", "socket", "characterDevice", "blockDevice"),
      mode: modeArbitrary,
    }),
  },
  { weight: 5, arbitrary: command("mkdir", { path: slashArbitrary, mode: modeArbitrary }) },
  {
    weight: 2,
    arbitrary: command("symlink", {
      target: fc.constantFrom("a", "../a", "b/c", "c", "a/b/", ".", "nowhere/x", "\udcff"),
    }),
  },
  { weight: 3, arbitrary: command("link", { to: pathArbitrary }) },
  { weight: 6, arbitrary: command("rename", { to: pathArbitrary }) },
  { weight: 2, arbitrary: command("renameNoReplace", { to: pathArbitrary }) },
  { weight: 3, arbitrary: command("exchange", { to: pathArbitrary }) },
  { weight: 2, arbitrary: command("unlink", {}) },
  { weight: 2, arbitrary: command("rmdir", { path: slashArbitrary }) },
  { weight: 2, arbitrary: command("lstat", { path: slashArbitrary }) },
  { weight: 2, arbitrary: command("readdir", { path: slashArbitrary }) },
  { weight: 1, arbitrary: command("readlink", {}) },
  { weight: 3, arbitrary: command("chmod", { mode: modeArbitrary }) },
  { weight: 3, arbitrary: changeOfOwners },
  { weight: 2, arbitrary: command("utimes", { accessed: timeArbitrary, modified: timeArbitrary }) },
  {
    weight: 2,
    arbitrary: command("setxattr", {
      name: attributeArbitrary,
      // Some disks do not count it as a change when it is set to what it was.
      value: fc.nat().map(String),
      only: fc.constantFrom(0, 0, 1, 2),
    }),
  },
  { weight: 1, arbitrary: command("getxattr", { name: attributeArbitrary }) },
  { weight: 1, arbitrary: command("removexattr", { name: attributeArbitrary }) },
  { weight: 1, arbitrary: command("listxattr", {}) },
);

/** So that there is something to work on. */
export const beginArbitrary: fc.Arbitrary<Command[]> = fc
  .array(fc.constantFrom(0, 1, 2), { minLength: 5, maxLength: 5 })
  .map((callers) =>
    ["a", "b", "a/b", "b/a", "c"].map((path, index): Command => {
      const who = callers[index] as number;
      return path === "c"
        ? { op: "mknod", who, path, kind: "file", mode: 0o644 }
        : { op: "mkdir", who, path, mode: 0o777 };
    }),
  );
