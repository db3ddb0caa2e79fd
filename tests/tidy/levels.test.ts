import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import { filesBelow, importsOf, type SourceFile } from "./tree.ts";

/** The house plan: a room imports from lower levels and from itself. */
const LEVELS: Readonly<Record<string, number>> = {
  core: 0,
  kv: 1,
  stores: 1,
  telemetry: 1,
  security: 1,
  namespace: 2,
  cache: 2,
  chunks: 2,
  placement: 3,
  mover: 3,
  sessions: 3,
  meta: 3.5,
  coordinator: 4,
  "gateways/http": 4.5,
  "gateways/rest": 5,
  "gateways/s3": 5,
  "gateways/grpc": 5,
  mount: 5,
  node: 5,
  nearcache: 5,
  burst: 5,
  cli: 6,
};

/** Contracts that other rooms may name as types without going through the door, which would load code. */
const CONTRACTS: ReadonlySet<string> = new Set([
  "src/kv/kv.ts",
  "src/stores/store.ts",
  "src/stores/site.ts",
  "src/namespace/types.ts",
  "src/mover/types.ts",
  "src/placement/types.ts",
  "src/coordinator/service/service.ts",
  "src/coordinator/service/access-keys.ts",
  "src/coordinator/service/buckets.ts",
  "src/coordinator/service/changes.ts",
  "src/coordinator/service/objects.ts",
  "src/coordinator/service/uploads.ts",
  "src/coordinator/service/versions.ts",
]);

/** The same within the coordinator: a request goes down through few doors, and never back up. */
const COORDINATOR_LEVELS: Readonly<Record<string, number>> = {
  service: 0,
  "catalog-view.ts": 0,
  "consistency.ts": 1,
  // Of all of them it names types alone.
  "kit.ts": 0,
  copies: 1,
  foreign: 2,
  objects: 3,
  reading: 4,
  listing: 4,
  uploads: 5,
  files: 5,
  leader: 6,
  admin: 6,
  observed: 6,
  "coordinator.ts": 7,
  "assemble.ts": 8,
  "index.ts": 9,
};

function roomOf(path: string): string {
  const [, first = "", second = ""] = path.split("/");
  return first === "gateways" ? `gateways/${second}` : first;
}

interface Edge {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const sources = filesBelow(["src"], [".ts"]);
const production = sources.filter(({ path }) => !path.endsWith(".test.ts") && !path.includes("/testing/"));

function edgesOf(files: readonly SourceFile[]): Edge[] {
  return files.flatMap(({ path, text }) =>
    importsOf(text)
      .filter(({ specifier }) => specifier.startsWith("."))
      .map(({ specifier, typeOnly }) => ({
        from: path,
        to: posix.normalize(posix.join(posix.dirname(path), specifier)),
        typeOnly,
      })),
  );
}

const edges = edgesOf(production);
const crossing = edges.filter(({ from, to }) => roomOf(from) !== roomOf(to));

describe("the rooms of src", () => {
  test("are all in the level table", () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(edges.length).toBeGreaterThan(100);
    const strangers = sources.map(({ path }) => roomOf(path)).filter((room) => !Object.hasOwn(LEVELS, room));
    expect([...new Set(strangers)]).toEqual([]);
  });

  test("import only from lower levels", () => {
    const wrong = crossing.filter(
      ({ from, to }) => (LEVELS[roomOf(to)] ?? Number.POSITIVE_INFINITY) >= (LEVELS[roomOf(from)] as number),
    );
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  test("are entered through their doors", () => {
    const wrong = crossing.filter(({ from, to, typeOnly }) => {
      if (roomOf(to) === "core" || to === `src/${roomOf(to)}/index.ts`) return false;
      if (typeOnly && CONTRACTS.has(to)) return false;
      // Compositions name the concrete parts, and load them one by one.
      return !(from.startsWith("src/cli/daemons/") && /^src\/(stores\/drivers|kv\/engines)\//.test(to));
    });
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  test("name concrete drivers and engines only in their own room and in compositions", () => {
    const concrete = /^src\/(stores\/drivers|kv\/engines)\//;
    const wrong = crossing.filter(({ from, to }) => concrete.test(to) && !from.startsWith("src/cli/"));
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });
});

describe("the rooms of the coordinator", () => {
  const levelOf = (path: string): number => COORDINATOR_LEVELS[path.split("/")[2] ?? ""] ?? Number.POSITIVE_INFINITY;
  const inside = edges.filter(({ from, to }) => [from, to].every((path) => path.startsWith("src/coordinator/")));

  test("are all in the table", () => {
    const files = production.filter(({ path }) => path.startsWith("src/coordinator/"));
    expect(files.length).toBeGreaterThan(50);
    expect(files.map(({ path }) => path).filter((path) => levelOf(path) === Number.POSITIVE_INFINITY)).toEqual([]);
  });

  test("import only downwards, and the kit only types", () => {
    const wrong = inside.filter(({ from, to, typeOnly }) => {
      if (from === "src/coordinator/kit.ts") return !typeOnly;
      return from.split("/")[2] !== to.split("/")[2] && levelOf(to) >= levelOf(from);
    });
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });
});

/** Each way from a file back to itself, found once. */
function circlesOf(all: readonly Pick<Edge, "from" | "to">[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of all) next.set(from, [...(next.get(from) ?? []), to]);
  const settled = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) circles.push([...trail.slice(trail.indexOf(path)), path].join(" > "));
    if (trail.includes(path) || settled.has(path)) return;
    for (const to of next.get(path) ?? []) visit(to, [...trail, path]);
    settled.add(path);
  };
  for (const path of next.keys()) visit(path, []);
  return circles;
}

describe("imports", () => {
  test("make no circle, anywhere in src or in a package, and be it one of types", () => {
    const files = filesBelow(["src", "packages"], [".ts"]).filter(({ path }) => !path.includes("/dist/"));
    const all = edgesOf(files);
    expect(all.length).toBeGreaterThan(edges.length);
    expect(circlesOf(all)).toEqual([]);
  });

  test("that make a circle are found, also where they are of types only", () => {
    const file = (path: string, text: string): SourceFile => ({ path, text });
    const files = [
      file("a/one.ts", 'import { two } from "./two.ts";'),
      file("a/two.ts", 'import type { Three } from "../b/three.ts";'),
      file("b/three.ts", 'export { one } from "../a/one.ts";\nimport { four } from "./four.ts";'),
      file("b/four.ts", ""),
    ];
    expect(circlesOf(edgesOf(files))).toEqual(["a/one.ts > a/two.ts > b/three.ts > a/one.ts"]);
    expect(circlesOf(edgesOf(files.slice(1)))).toEqual([]);
  });
});

describe("the packages", () => {
  test("stand alone: they import nothing of src", () => {
    const files = filesBelow(["packages"], [".ts"]);
    expect(files.length).toBeGreaterThan(5);
    const wrong = files.flatMap(({ path, text }) =>
      importsOf(text)
        .filter(({ specifier }) => specifier.startsWith("."))
        .map(({ specifier }) => posix.normalize(posix.join(posix.dirname(path), specifier)))
        .filter((to) => !to.startsWith(path.split("/").slice(0, 2).join("/")))
        .map((to) => `${path} imports ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  test("are used by the command line only", () => {
    const wrong = production.filter(
      ({ path, text }) =>
        !path.startsWith("src/cli/") &&
        importsOf(text).some(({ specifier }) => specifier.startsWith("@globalfs/client")),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

test("the scanner sees every kind of import", () => {
  const text = `
import a from "./a.ts";
import {
  b,
} from './b.ts';
import type { C } from "./c.ts";
export * from "./d.ts";
export type { E } from "./e.ts";
import "./f.ts";
const g = await import("./g.ts");
// import h from "./h.ts";
/* import i from "./i.ts"; */
`;
  expect(importsOf(text).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? " type" : ""}`)).toEqual([
    "./a.ts",
    "./b.ts",
    "./c.ts type",
    "./d.ts",
    "./e.ts type",
    "./f.ts",
    "./g.ts",
  ]);
});
