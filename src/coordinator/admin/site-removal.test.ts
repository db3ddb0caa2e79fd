import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SiteName } from "../../core/ids.ts";
import { MoverRig } from "../../mover/testing/rig.ts";
import type { Site, SiteRole } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";
import { lossOf, refuseLoss, type SiteLoss } from "./site-removal.ts";

let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local", "cloud"]).start();
});
afterEach(async () => await rig.mover.stop());

const site = (name: string): Site => rig.sites.get(name) as Site;
const loss = async (name: string): Promise<SiteLoss> =>
  await lossOf({ kv: rig.kv, sites: rig.deps.sites } as Kit, site(name));
function become(name: string, role: SiteRole): void {
  rig.sites.set(name, { ...site(name), role });
}

describe("what goes with a site", () => {
  it("are the versions that no other site has, and none that another has", async () => {
    await rig.put("both", "bytes");
    await rig.put("here", "bytes", { to: [] });
    await rig.put("there", "bytes", { at: ["cloud"], to: [] });
    await rig.put("there too", "bytes", { at: ["cloud"], to: [] });
    await rig.idle();
    expect([await loss("local"), await loss("cloud")]).toEqual([
      { noPrimaryLeft: false, onlyCopies: 1 },
      { noPrimaryLeft: false, onlyCopies: 2 },
    ]);
  });

  it("is the place of writes where it is the only primary", async () => {
    become("cloud", "backup");
    expect([(await loss("local")).noPrimaryLeft, (await loss("cloud")).noPrimaryLeft]).toEqual([true, false]);
    become("cloud", "burst");
    expect((await loss("local")).noPrimaryLeft).toBe(true);
  });

  it("is told before it is removed, and nothing is told where nothing goes", () => {
    const refuse = (noPrimaryLeft: boolean, onlyCopies: number) => (): void =>
      refuseLoss("local" as SiteName, { noPrimaryLeft, onlyCopies });
    expect(refuse(false, 0)).not.toThrow();
    expect(refuse(true, 0)).toThrow("nothing could be written");
    expect(refuse(false, 1)).toThrow("Site local was not removed: 1 object has its only copy there.");
    expect(refuse(true, 7)).toThrow("could be written, and 7 objects have their only copy there.");
    expect(refuse(false, 100_000)).toThrow("at least 100000 objects");
  });
});
