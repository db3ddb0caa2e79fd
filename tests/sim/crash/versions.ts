import { assert } from "vitest";
import { rigCtx } from "../../../src/coordinator/testing/rig.ts";
import { World } from "./world.ts";

const SITES = { local: "primary", cloud: "burst" } as const;
const KEYS = ["b/d/x", "b/y", "b/e/x"];

/** The newest first; null is a delete marker. */
type Stacks = Readonly<Record<string, readonly (string | null)[]>>;

/** A bucket that keeps versions, in a world whose processes die. */
export class Versions {
  readonly world = new World({ sites: SITES });
  /** What a user may find: later ones come from what was not answered. */
  possible: readonly Stacks[] = [{}];

  async prepare(): Promise<void> {
    await this.world.start();
    const { coordinator } = this.world.rig;
    await coordinator.createBucket(rigCtx, { name: "b" });
    await coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
  }

  async change(effect: (stacks: Stacks) => Stacks, work: () => Promise<unknown>): Promise<void> {
    const before = this.possible;
    const after = before.map(effect);
    this.possible = [...before, ...after];
    await work();
    this.possible = after;
  }

  async put(key: string, body: string): Promise<void> {
    await this.change(
      (stacks) => ({ ...stacks, [key]: [body, ...(stacks[key] ?? [])] }),
      async () => await this.world.put(key, body),
    );
  }

  async delete(key: string): Promise<void> {
    await this.change(
      (stacks) => ({ ...stacks, [key]: [null, ...(stacks[key] ?? [])] }),
      async () => await this.world.rig.coordinator.deleteObject(rigCtx, key),
    );
  }

  async deleteVersion(key: string, index: number): Promise<void> {
    const { entries } = await this.world.rig.coordinator.listVersions(rigCtx, { prefix: key, limit: 100 });
    const versionId = entries[index]?.versionId as string;
    await this.change(
      (stacks) => ({ ...stacks, [key]: (stacks[key] ?? []).filter((_, at) => at !== index) }),
      async () => await this.world.rig.coordinator.deleteObject(rigCtx, key, { versionId }),
    );
  }

  async renameDirectory(): Promise<void> {
    await this.change(
      ({ "b/d/x": moved, ...stacks }) => (moved === undefined ? stacks : { ...stacks, "b/e/x": moved }),
      async () => await this.world.rig.coordinator.rename(rigCtx, { from: "b/d/", to: "b/e/" }),
    );
  }

  async found(): Promise<Stacks> {
    const { coordinator } = this.world.rig;
    const stacks: Record<string, (string | null)[]> = {};
    const { entries } = await coordinator.listVersions(rigCtx, { prefix: "b/", afterKey: "b/", limit: 1_000 });
    for (const { key, versionId, isLatest, meta } of entries) {
      const stack = (stacks[key] ??= []);
      assert.strictEqual(isLatest, stack.length === 0, `${key} ${versionId}`);
      stack.push(meta === undefined ? null : await this.read(key, versionId));
    }
    return stacks;
  }

  async read(key: string, versionId: string): Promise<string> {
    const read = await this.world.rig.coordinator.readObject(rigCtx, key, { versionId });
    const chunks: Buffer[] = [];
    for await (const chunk of (await read.open()).stream) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString();
  }

  async verify(): Promise<void> {
    const { world } = this;
    await world.start();
    await world.settle();
    await world.settle();
    const wanted = this.possible.map(textOf);
    const seen = textOf(await this.found());
    assert.include(wanted, seen);
    for (const away of world.stores.keys()) {
      world.away.add(away);
      assert.strictEqual(textOf(await this.found()), seen, `without ${away}`);
      world.away.clear();
    }
    const bodies = KEYS.flatMap((key) => JSON.parse(seen)[key] ?? []).filter((body) => body !== null);
    for (const [site, store] of world.stores) {
      const { objects } = await store.list(rigCtx, { limit: 1_000 });
      assert.strictEqual(objects.length, bodies.length, `objects at ${site}`);
    }
    // Objects at the sites have been looked at here; the rest is the catalog and its jobs.
    const faults = (await world.faults(new Map())).filter((fault) => !fault.includes("which nobody owns"));
    assert.deepEqual(faults, []);
  }
}

function textOf(stacks: Stacks): string {
  return JSON.stringify(Object.fromEntries(KEYS.flatMap((key) => (stacks[key]?.length ? [[key, stacks[key]]] : []))));
}
