import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { filesBelow, ROOT } from "./tree.ts";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly engines?: { readonly node?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  readonly packages: Readonly<
    Record<
      string,
      { readonly resolved?: string; readonly license?: string; readonly dev?: boolean; readonly link?: boolean }
    >
  >;
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), "utf8"));
const manifests = filesBelow(["packages"], ["package.json"]).map(({ path }) => path);
const all = ["package.json", ...manifests].map((path) => readJson(path) as Manifest);
const lock = readJson("package-lock.json") as Lockfile;

describe("the packages' manifests", () => {
  test("name exact versions", () => {
    expect(all.length).toBeGreaterThan(1);
    for (const { dependencies, devDependencies } of all) {
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
        expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[a-z0-9.]+)?$/);
      }
    }
  });

  test("agree on version, licence and Node", () => {
    for (const { version, license, engines } of all) {
      expect({ version, license, node: engines?.node }).toEqual({
        version: all[0]?.version,
        license: "Apache-2.0",
        node: ">=20.19",
      });
    }
  });
});

describe("the lockfile", () => {
  test("does not say where packages were downloaded", () => {
    const located = Object.entries(lock.packages).filter(
      ([, { resolved, link }]) => resolved !== undefined && link !== true,
    );
    expect(located.map(([path]) => path)).toEqual([]);
  });

  test("has only licences that may be shipped with Apache-2.0 software", () => {
    const fine =
      /^\(?(MIT|ISC|Apache-2\.0|BSD-2-Clause|BSD-3-Clause|0BSD|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|Python-2\.0)\b/;
    const shipped = Object.entries(lock.packages).filter(
      ([path, { dev, link }]) => path.startsWith("node_modules/") && dev !== true && link !== true,
    );
    expect(shipped.length).toBeGreaterThan(20);
    const odd = shipped.filter(([, { license }]) => license !== undefined && !fine.test(license));
    expect(odd.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
  });
});
