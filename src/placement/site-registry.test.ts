import { describe, expect, it } from "vitest";
import type { SiteName } from "../core/ids.ts";
import { createMemoryStore } from "../stores/index.ts";
import { checkSiteName, createSiteRegistry } from "./site-registry.ts";
import { testSite } from "./testing/sites.ts";

/** A site that tells when it was closed. */
function closing(name: string, fault?: Error) {
  const closed: string[] = [];
  const store = {
    ...createMemoryStore(),
    close: () => (closed.push(name), fault === undefined ? Promise.resolve() : Promise.reject(fault)),
  };
  return { site: testSite(name, "primary", { store }), closed };
}

describe("the registry of sites", () => {
  it("lists sites in the order they came, and finds them by name", () => {
    const registry = createSiteRegistry([testSite("b"), testSite("a")]);
    registry.add(testSite("c"));
    expect(registry.list().map(({ name }) => name)).toEqual(["b", "a", "c"]);
    expect(registry.find("a" as SiteName)?.name).toBe("a");
    expect(registry.find("none" as SiteName)).toBeUndefined();
  });

  it("takes a name only once, and only one that can name a site", () => {
    const registry = createSiteRegistry([testSite("a")]);
    expect(() => registry.add(testSite("a"))).toThrow(expect.objectContaining({ code: "AlreadyExists" }));
    for (const name of ["", "-a", "a-", "A", "a.b", "a/b", "ä", "a".repeat(64)]) {
      expect(() => checkSiteName(name), name).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
    }
    for (const name of ["a", "0", "on-prem-1", "a".repeat(63)]) expect(() => checkSiteName(name)).not.toThrow();
  });

  it("hides a removed site at once, closes its store, and frees its name", async () => {
    const { site, closed } = closing("a");
    const registry = createSiteRegistry([site, testSite("b")]);
    const list = registry.list();
    const removing = registry.remove(site.name);
    expect(registry.find(site.name)).toBeUndefined();
    await removing;
    expect(closed).toEqual(["a"]);
    // Who holds a list from before keeps what it saw.
    expect([list.length, registry.list().length]).toEqual([2, 1]);
    await expect(registry.remove(site.name)).rejects.toMatchObject({ code: "NotFound" });
    registry.add(testSite("a"));
    expect(registry.list().map(({ name }) => name)).toEqual(["b", "a"]);
  });

  it("closes every store, also after one that fails to", async () => {
    const one = closing("one", new Error("no"));
    const other = closing("other");
    const registry = createSiteRegistry([one.site, other.site]);
    await registry.close();
    expect([one.closed, other.closed, registry.list()]).toEqual([["one"], ["other"], []]);
  });
});
