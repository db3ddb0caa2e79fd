import { readAll, rigCtx } from "../../../src/coordinator/testing/rig.ts";
import { isGfsError } from "../../../src/core/errors.ts";
import type { Random } from "../../../src/core/ports/random.ts";
import type { World } from "../crash/world.ts";

/** What a key may hold: a body, or nothing. */
type Content = string | undefined;

/** What a reader may be told while sites fail; never that something is not there, or other bytes. */
const EXCUSES = ["Unavailable", "Timeout", "Conflict", "Internal", "DataCorrupt", "Overloaded"] as const;

/**
 * Does things by chance and keeps, for each key, what it may hold: one content once an answer came, and behind it those of writes
 * that failed since and may have taken effect all the same. What has been seen later than another is never gone back from.
 */
export class Soak {
  readonly #world: World;
  readonly #random: Random;
  readonly #keys: readonly string[];
  readonly #candidates = new Map<string, readonly Content[]>();
  readonly history: string[] = [];
  acknowledged = 0;
  failed = 0;
  #serial = 0;

  constructor(world: World, random: Random, keys: readonly string[]) {
    this.#world = world;
    this.#random = random;
    this.#keys = keys;
    for (const key of keys) this.#candidates.set(key, [undefined]);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random.fraction() * from.length)] as T;
  }

  #of(key: string): readonly Content[] {
    return this.#candidates.get(key) as readonly Content[];
  }

  async step(): Promise<void> {
    const key = this.#pick(this.#keys);
    const chance = this.#random.fraction();
    if (chance < 0.4) await this.#put(key);
    else if (chance < 0.55) await this.#delete(key);
    else if (chance < 0.7) await this.#rename(key, this.#pick(this.#keys));
    else if (chance < 0.95) await this.read(key);
    else await this.list();
  }

  /** The code of the failure; undefined when it was done. */
  async #attempt(what: string, work: () => Promise<unknown>): Promise<string | undefined> {
    try {
      await this.#world.during(work());
      this.acknowledged += 1;
      this.history.push(`${what}: done`);
      return undefined;
    } catch (error) {
      if (!isGfsError(error)) throw error;
      this.failed += 1;
      this.history.push(`${what}: ${error.code} ${error.message}`);
      return error.code;
    }
  }

  async #put(key: string): Promise<void> {
    const body = `${this.#serial++} `.repeat(this.#pick([1, 40, 900]));
    const failure = await this.#attempt(`put ${key} ${body.slice(0, 4)}`, () => this.#world.put(key, body));
    this.#candidates.set(key, failure === undefined ? [body] : [...this.#of(key), body]);
  }

  /** Also when a site does not answer: then the name is gone, and a job does the rest. */
  async #delete(key: string): Promise<void> {
    await this.#attempt(`delete ${key}`, () => this.#world.rig.coordinator.deleteObject(rigCtx, key));
    this.#candidates.set(key, [undefined]);
  }

  async #rename(from: string, to: string): Promise<void> {
    if (from === to) return;
    const failure = await this.#attempt(`rename ${from} ${to}`, () =>
      this.#world.rig.coordinator.rename(rigCtx, { from, to, overwrite: true }),
    );
    if (failure === "NotFound") this.#expectPossible(from, undefined);
    if (failure !== undefined) return;
    this.#candidates.set(
      to,
      this.#of(from).filter((content) => content !== undefined),
    );
    this.#candidates.set(from, [undefined]);
  }

  #expectPossible(key: string, content: Content): void {
    const candidates = this.#of(key);
    const index = candidates.indexOf(content);
    if (index === -1) {
      const shown = [content, ...candidates].map((each) => each?.slice(0, 6) ?? "nothing");
      throw new Error(
        `${key} holds ${shown[0]}, and may hold ${shown.slice(1).join(", ")}:\n${this.history.slice(-40).join("\n")}`,
      );
    }
    this.#candidates.set(key, candidates.slice(index));
  }

  async read(key: string): Promise<void> {
    try {
      const body = await this.#world.during(readAll(this.#world.rig.coordinator, key));
      this.history.push(`read ${key}: ${body.toString().slice(0, 4)}`);
      this.#expectPossible(key, body.toString());
    } catch (error) {
      if (isGfsError(error, "NotFound")) this.#expectPossible(key, undefined);
      else if (!isGfsError(error, ...EXCUSES)) throw error;
    }
  }

  async list(): Promise<void> {
    const page = await this.#world.during(this.#world.rig.coordinator.listObjects(rigCtx, { limit: 1_000 }));
    const listed = new Set(page.objects.map(({ key }) => key));
    for (const key of this.#keys) {
      const candidates = this.#of(key);
      const fault =
        listed.has(key) && candidates.every((content) => content === undefined)
          ? "is listed and was deleted"
          : !listed.has(key) && candidates[0] !== undefined && !candidates.includes(undefined)
            ? "is not listed"
            : undefined;
      if (fault !== undefined) throw new Error(`${key} ${fault}:\n${this.history.slice(-40).join("\n")}`);
    }
  }

  /** When all is well again: exactly what may be is there. Resolves with the files. */
  async verify(): Promise<ReadonlyMap<string, string>> {
    const files = await this.#world.files();
    for (const key of this.#keys) this.#expectPossible(key, files.get(key));
    return files;
  }
}
