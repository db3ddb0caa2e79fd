import path from "node:path";
import { LRUCache } from "lru-cache";
import type { Disk, HeldDirectory } from "../../../core/ports/disk.ts";
import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import { GfsError, fromErrno } from "../../../core/errors.ts";
import { type DiskPlace, isInOwnCorner, placeOf, RESERVED } from "./disk-names.ts";
import { errnoOf, NO_SUCH_DIRECTORY } from "./failures.ts";
import { SharedFlush } from "./shared-flush.ts";

/** Paths below one root, and the directories on the way: made when an object needs them, removed with their last object. */

export interface ObjectPaths {
  readonly directory: string;
  readonly plain: string;
  /** Where the object lies while a directory has its name. */
  readonly beside: string | undefined;
  readonly place: DiskPlace;
}

export class Layout {
  readonly root: string;
  readonly staging: string;
  /** Where small contents are noted before they are files. */
  readonly intake: string;
  readonly #disk: Disk;
  /**
   * Directories whose own name is known to be durable, and those above them, by what tells them from later ones of their names: another process may remove one, and
   * make it anew. One that is merely there may have been made by somebody who has not flushed it yet, or who was killed before.
   */
  readonly #durable = new LRUCache<string, string>({ max: MAX_REMEMBERED });
  readonly #locks = new KeyedLock();
  readonly #flushes = new SharedFlush();
  #stamp: string | undefined;

  constructor(root: string, disk: Disk) {
    this.root = root;
    this.staging = path.join(root, RESERVED, "staging");
    this.intake = path.join(root, RESERVED, "intake");
    this.#disk = disk;
  }

  /** Makes what has changed in a directory durable. */
  async syncDirectory(directory: string): Promise<void> {
    await this.#flushes.run(directory, () => this.#disk.syncDirectory(directory));
  }

  /** The same, for who holds it. */
  async syncHeld(directory: string, held: HeldDirectory): Promise<void> {
    await this.#flushes.run(directory, () => held.sync());
  }

  pathsOf(key: string): ObjectPaths {
    const place = placeOf(key);
    const directory = place.directories.length === 0 ? this.root : `${this.root}/${place.directories.join("/")}`;
    return {
      directory,
      plain: `${directory}/${place.name}`,
      beside: place.beside === undefined ? undefined : `${directory}/${place.beside}`,
      place,
    };
  }

  async prepare(): Promise<void> {
    await this.#makeIfAbsent(this.root, path.dirname(this.root));
    await this.#makeIfAbsent(path.join(this.root, RESERVED), this.root);
    await this.#makeIfAbsent(this.staging, path.join(this.root, RESERVED));
  }

  async #makeIfAbsent(directory: string, parent: string): Promise<void> {
    try {
      await this.#disk.makeDirectory(directory);
      await this.syncDirectory(parent);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      if ((await this.#disk.stat(directory)).kind !== "directory")
        throw Object.assign(new Error(directory), { code: "ENOTDIR" });
      await this.#syncForeign(parent);
    }
  }

  /** The parent of a root that was there before may be closed to us; whoever made the root has flushed it, then. */
  async #syncForeign(directory: string): Promise<void> {
    try {
      await this.syncDirectory(directory);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== "EACCES" && errno !== "EPERM" && errno !== "EROFS" && errno !== "EINVAL") throw error;
    }
  }

  /** Which disk and directory the root is by now. On another one nothing of what was known holds. */
  async stamp(onChange: () => void | Promise<void>): Promise<string> {
    const { place } = await this.#disk.stat(this.root);
    if (place === this.#stamp) return place;
    this.#durable.clear();
    if (this.#stamp !== undefined) await onChange();
    this.#stamp = place;
    return place;
  }

  /** An unmounted disk looks like an empty directory: without our own directory in it nothing is believed. */
  async assertMounted(op: string): Promise<void> {
    try {
      await this.#disk.stat(this.staging);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw fromErrno(error, op);
      throw new GfsError(
        "Unavailable",
        `${this.root} has no directory ${RESERVED}; is its disk mounted? \`globalfs site adopt\` if this one replaces it for good.`,
        {
          op,
          cause: error,
        },
      );
    }
  }

  /**
   * Makes the directories of a place. Where an object has the name of one, it steps aside first: one rename, so that at no moment it is
   * missing. `moveAside` holds the lock of that object's key. `as` noted: what makes the object again makes its directories.
   */
  async makeDirectories(
    place: DiskPlace,
    as: "durable" | "noted",
    moveAside: (plain: string, index: number) => Promise<void>,
  ): Promise<void> {
    let directory = this.root;
    for (const [index, name] of place.directories.entries()) {
      const parent = directory;
      directory = `${parent}/${name}`;
      const make = async (): Promise<Made> => await this.#tryMake(directory, parent, as);
      await this.#makeOne(directory, make, async () => await moveAside(directory, index));
    }
  }

  async #makeOne(directory: string, make: () => Promise<Made>, moveAside: () => Promise<void>): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const found = await this.#locks.run(directory, make);
      if (found === "directory") return;
      if (found === "other" || attempt === MAX_ATTEMPTS)
        throw Object.assign(new Error(`${directory} is not a directory.`), { code: "ENOTDIR" });
      if (found === "file") await moveAside();
    }
  }

  async #tryMake(directory: string, parent: string, as: "durable" | "noted"): Promise<Made> {
    try {
      await this.#disk.makeDirectory(directory);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      const { kind, self } = await this.#look(directory);
      if (kind !== "directory" || this.#isDurable(directory, self)) return kind;
    }
    if (as === "noted") return "directory";
    await this.#makeDurable(directory, parent);
    return "directory";
  }

  /** What is there before the flush is what the flush is of. */
  async #makeDurable(directory: string, parent: string): Promise<void> {
    const { self } = await this.#look(directory);
    await this.syncDirectory(parent);
    if (self !== undefined) this.#durable.set(directory, self);
  }

  #isDurable(directory: string, self: string | undefined): boolean {
    return self !== undefined && this.#durable.get(directory) === self;
  }

  /** Makes sure that the directories of a place, which holds an object by now, outlive a power loss. */
  async syncDirectories(place: DiskPlace): Promise<void> {
    if (place.directories.length === 0) return;
    let directory = this.root;
    // While it is the same, those above it are: none goes that holds another.
    const lowest = [directory, ...place.directories].join("/");
    if (this.#isDurable(lowest, (await this.#look(lowest)).self)) return;
    for (const name of place.directories) {
      const parent = directory;
      directory = `${parent}/${name}`;
      const child = directory;
      await this.#locks.run(child, async () => {
        if (!this.#isDurable(child, (await this.#look(child)).self)) await this.#makeDurable(child, parent);
      });
    }
  }

  /** Makes it durable that a name of this directory is gone, also when the directory itself is gone. */
  async syncAbsence(place: DiskPlace): Promise<void> {
    for (let count = place.directories.length; ; count--) {
      try {
        await this.syncDirectory([this.root, ...place.directories.slice(0, count)].join("/"));
        return;
      } catch (error) {
        const errno = errnoOf(error);
        if (count === 0 || errno === undefined || !NO_SUCH_DIRECTORY.has(errno)) throw error;
      }
    }
  }

  /** `self`: the very directory, and no later one that was given its inode. */
  async #look(where: string): Promise<{ readonly kind: Made; readonly self?: string }> {
    try {
      const { kind, place, bornNs } = await this.#disk.stat(where);
      return { kind, self: `${place} ${bornNs}` };
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return { kind: "gone" };
      throw error;
    }
  }

  /** Upwards from a directory that may have become empty. A write that needs it again makes it again. */
  async pruneDirectories(place: DiskPlace): Promise<void> {
    // Those of our own corner would be made anew for the next object.
    if (isInOwnCorner(place)) return;
    for (let count = place.directories.length; count > 0; count--) {
      const directory = `${this.root}/${place.directories.slice(0, count).join("/")}`;
      try {
        await this.#locks.run(directory, async () => {
          await this.#disk.removeDirectory(directory);
          this.#durable.delete(directory);
        });
      } catch {
        // Not empty, gone already, or not ours to remove: an empty directory is no object and harms nobody.
        return;
      }
    }
  }
}

type Made = "file" | "directory" | "other" | "gone";

const MAX_ATTEMPTS = 5;
const MAX_REMEMBERED = 10_000;
