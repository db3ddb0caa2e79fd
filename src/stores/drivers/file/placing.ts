import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import { type Ctx, throwIfAborted } from "../../../core/context.ts";
import { fromErrno } from "../../../core/errors.ts";
import type { Disk } from "../../../core/ports/disk.ts";
import { checkConditions } from "../../conditions.ts";
import type { ObjectInfo, WriteConditions } from "../../store.ts";
import { besideOf, type DiskPlace } from "./disk-names.ts";
import { errnoOf } from "./failures.ts";
import type { Layout, ObjectPaths } from "./layout.ts";
import type { DirectoryReader } from "./listing.ts";
import { existsAt, findInfo } from "./reading.ts";
import type { SealedFile } from "./writing.ts";

/** How a file gets its place in the tree, and loses it. One change of a key's place at a time. */
export class Placing {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #reader: DirectoryReader;
  readonly #locks = new KeyedLock();
  /** How many deletes are under way in a directory. */
  readonly #deleting = new Map<string, number>();

  constructor(disk: Disk, layout: Layout, reader: DirectoryReader) {
    this.#disk = disk;
    this.#layout = layout;
    this.#reader = reader;
  }

  /** The one way a file gets its place. Resolves when the name is durable. */
  async publish(ctx: Ctx, { path, info }: SealedFile, conditions?: WriteConditions): Promise<ObjectInfo> {
    const { key } = info;
    return await this.#locks.run(this.#layout.pathsOf(key).plain, async () => {
      throwIfAborted(ctx, "store.commit");
      const { ifMatch, ifNoneMatch } = conditions ?? {};
      try {
        // Whether anything has the name is asked of the disk together with the rename, and of nobody between the two.
        if (ifNoneMatch !== undefined && ifMatch === undefined && (await this.#moveIntoPlace(key, path, "new")))
          return info;
        if (ifMatch !== undefined || ifNoneMatch !== undefined)
          checkConditions(conditions, await findInfo(this.#disk, this.#layout, key));
        await this.#moveIntoPlace(key, path, "any");
      } catch (error) {
        if (errnoOf(error) === "ENOENT") await this.#layout.assertMounted("store.commit");
        throw fromErrno(error, "store.commit", { key });
      }
      return info;
    });
  }

  /** False: it is to be `new`, and something has one of its names. */
  async #moveIntoPlace(key: string, path: string, as: "new" | "any"): Promise<boolean> {
    const { directory, place } = this.#layout.pathsOf(key);
    for (let attempt = 0; ; attempt++) {
      try {
        if (attempt > 0) {
          await this.#layout.makeDirectories(
            place,
            async (occupied, index) => await this.#moveAside(place, occupied, index),
          );
        }
        if (!(await this.#renameInto(path, { directory, place, as }))) return false;
        await this.#layout.syncDirectories(place);
        this.#reader.forget(directory);
        return true;
      } catch (error) {
        // A directory on the way is missing, was pruned meanwhile, or has just been made where the object should go.
        const errno = errnoOf(error);
        const again =
          errno === "ENOENT" ||
          errno === "ENOTDIR" ||
          errno === "EISDIR" ||
          errno === "ENOTEMPTY" ||
          errno === "EEXIST";
        if (!again || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** The name is durable afterwards. */
  async #renameInto(path: string, { directory, place, as }: Target): Promise<boolean> {
    const held = await this.#disk.hold(directory);
    try {
      const plain = `${held.path}/${place.name}`;
      const beside = place.beside === undefined ? undefined : `${held.path}/${place.beside}`;
      if (as === "any") await this.#renameOver(path, plain, beside);
      else if (!(await this.#renameNew(path, plain, beside))) return false;
      await this.#layout.syncHeld(directory, held);
      return true;
    } finally {
      held.release();
    }
  }

  async #renameOver(path: string, plain: string, beside: string | undefined): Promise<void> {
    try {
      // What may still lie beside it, from a time when a directory had the name, is hidden by it and goes with it.
      await this.#disk.rename(path, plain);
      return;
    } catch (error) {
      const errno = errnoOf(error);
      const occupied = errno === "EISDIR" || errno === "ENOTEMPTY" || errno === "EEXIST";
      if (!occupied || beside === undefined) throw error;
    }
    await this.#disk.rename(path, beside);
  }

  async #renameNew(path: string, plain: string, beside: string | undefined): Promise<boolean> {
    if (beside !== undefined && (await existsAt(this.#disk, beside)) !== "absent") return false;
    try {
      await this.#disk.renameNew(path, plain);
      return true;
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return false;
      throw error;
    }
  }

  /** An object has the name of a directory that is needed: it takes the name beside it. */
  async #moveAside(place: DiskPlace, occupied: string, index: number): Promise<void> {
    const beside = besideOf(place.directories[index] as string);
    const directory = [this.#layout.root, ...place.directories.slice(0, index)].join("/");
    if (beside === undefined) throw Object.assign(new Error(occupied), { code: "ENOTDIR" });
    await this.#locks.run(occupied, async () => {
      if ((await existsAt(this.#disk, occupied)) !== "file") return;
      await this.#disk.rename(occupied, `${directory}/${beside}`);
      await this.#layout.syncDirectory(directory);
      this.#reader.forget(directory);
    });
  }

  async remove(key: string, ifMatch: string | undefined): Promise<void> {
    await this.#locks.run(this.#layout.pathsOf(key).plain, async () => {
      try {
        if (ifMatch !== undefined) {
          const current = await findInfo(this.#disk, this.#layout, key);
          if (current === undefined) return;
          checkConditions({ ifMatch }, current);
        }
        await this.#unlinkObject(key);
      } catch (error) {
        throw fromErrno(error, "store.delete", { key });
      }
    });
  }

  /** The hidden one goes first: a crash in between must not bring an older object back. */
  async #unlinkObject(key: string): Promise<void> {
    const { directory, plain, beside, place } = this.#layout.pathsOf(key);
    this.#deleting.set(directory, (this.#deleting.get(directory) ?? 0) + 1);
    try {
      await this.#unlinkPaths(directory, { plain, beside, place });
    } finally {
      const others = (this.#deleting.get(directory) ?? 1) - 1;
      if (others > 0) this.#deleting.set(directory, others);
      else this.#deleting.delete(directory);
    }
    // Of deletes that run together the last one looks whether the directory is empty.
    if (!this.#deleting.has(directory)) await this.#layout.pruneDirectories(place);
  }

  async #unlinkPaths(directory: string, { plain, beside, place }: Omit<ObjectPaths, "directory">): Promise<void> {
    let removed = false;
    for (const path of beside === undefined ? [plain] : [beside, plain]) {
      try {
        if (path === plain && (await existsAt(this.#disk, plain)) !== "file") continue;
        await this.#disk.unlink(path);
      } catch (error) {
        const errno = errnoOf(error);
        if (errno !== "ENOENT" && errno !== "ENOTDIR" && errno !== "ELOOP") throw error;
        continue;
      }
      removed = true;
      // Another delete may have removed the emptied directory meanwhile.
      await this.#layout.syncAbsence(place);
    }
    if (!removed) {
      await this.#layout.assertMounted("store.delete");
      // It may be gone since an earlier attempt that was killed before it flushed.
      await this.#layout.syncAbsence(place);
      return;
    }
    this.#reader.forget(directory);
  }
}

interface Target {
  readonly directory: string;
  readonly place: DiskPlace;
  readonly as: "new" | "any";
}

const MAX_ATTEMPTS = 8;
