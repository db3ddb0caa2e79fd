import { chunksOf, rigCtx } from "../../../src/coordinator/testing/rig.ts";
import type { Files, World } from "./world.ts";

/** The smaller ones first. */
function subsetsOf(keys: readonly string[]): readonly string[][] {
  let subsets: string[][] = [[]];
  for (const key of keys) subsets = [...subsets, ...subsets.map((subset) => [...subset, key])];
  return subsets.sort((one, other) => one.length - other.length);
}

function without(files: Files, keys: readonly string[]): Files {
  return new Map([...files].filter(([key]) => !keys.includes(key)));
}

/** Does things in a world and keeps what a user may see afterwards: one state once an answer came, one more while it is out. */
export class History {
  readonly #world: World;
  /** The later ones come from what was not answered. */
  possible: readonly Files[] = [new Map()];

  constructor(world: World) {
    this.#world = world;
  }

  get world(): World {
    return this.#world;
  }

  async put(key: string, body: string): Promise<void> {
    await this.#change(
      (files) => void files.set(key, body),
      () => this.#world.put(key, body),
    );
  }

  /** Of one part; its completion is what a user may see. */
  async upload(key: string, body: string): Promise<void> {
    const { coordinator } = this.#world.rig;
    const bytes = Buffer.from(body);
    const { uploadId } = await coordinator.createUpload(rigCtx, { key });
    const part = { key, uploadId, partNumber: 3, sizeBytes: bytes.length };
    const { etag } = await coordinator.putPart(rigCtx, { ...part, body: chunksOf(bytes, 400) });
    await this.#change(
      (files) => void files.set(key, body),
      async () => void (await coordinator.completeUpload(rigCtx, { key, uploadId, parts: [{ partNumber: 3, etag }] })),
    );
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#change(
      (files) => void files.set(to, files.get(from) as string),
      async () => void (await this.#world.rig.coordinator.copyObject(rigCtx, { from: { key: from }, key: to })),
    );
  }

  async delete(key: string): Promise<void> {
    await this.#change(
      (files) => void files.delete(key),
      async () => void (await this.#world.rig.coordinator.deleteObject(rigCtx, key)),
    );
  }

  /** Each by itself: while no answer has come any of them may be gone. */
  async deleteMany(...keys: readonly string[]): Promise<void> {
    const before = this.possible;
    const some = before.flatMap((files) => subsetsOf(keys).map((gone) => without(files, gone)));
    await this.#change(
      (files) => {
        for (const key of keys) files.delete(key);
      },
      async () => {
        this.possible = some;
        const outcomes = await this.#world.rig.coordinator.deleteObjects(
          rigCtx,
          keys.map((key) => ({ key })),
        );
        for (const outcome of outcomes) if ("error" in outcome) throw outcome.error;
      },
    );
  }

  /** Both with a slash at the end: a directory. */
  async rename(from: string, to: string, overwrite = false): Promise<void> {
    await this.#change(
      (files) => {
        for (const [key, body] of Array.from(files)) {
          if (key !== from && !(from.endsWith("/") && key.startsWith(from))) continue;
          files.delete(key);
          files.set(to + key.slice(from.length), body);
        }
      },
      () => this.#world.rig.coordinator.rename(rigCtx, { from, to, overwrite }),
    );
  }

  async #change(effect: (files: Map<string, string>) => void, work: () => Promise<void>): Promise<void> {
    const before = this.possible;
    const after = before.map((files) => {
      const changed = new Map(files);
      effect(changed);
      return changed;
    });
    this.possible = [...before, ...after];
    await work();
    this.possible = after;
  }
}
