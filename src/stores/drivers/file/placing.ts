import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import { type Ctx, throwIfAborted } from "../../../core/context.ts";
import { fromErrno } from "../../../core/errors.ts";
import type { Disk, HeldDirectory } from "../../../core/ports/disk.ts";
import { checkConditions } from "../../conditions.ts";
import type { DeleteOptions, Durability, ObjectInfo, WriteConditions } from "../../store.ts";
import { besideOf, type DiskPlace, isInOwnCorner } from "./disk-names.ts";
import { ABSENT, errnoOf } from "./failures.ts";
import { KeyFlushes, UnflushedKeys } from "./flushing.ts";
import { filesAt, type FoundFile, instanceOf } from "./intake/instance.ts";
import type { Intake } from "./intake/intake.ts";
import type { Noted } from "./intake/log.ts";
import type { Layout } from "./layout.ts";
import type { DirectoryReader } from "./listing.ts";
import { existsAt, findInfo } from "./reading.ts";
import { type SealedFile, type SmallContent, syncFile } from "./writing.ts";

/** How a file gets its place in the tree, and loses it. One change of a key's place at a time. */
export class Placing {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #reader: DirectoryReader;
  readonly intake: Intake;
  readonly #locks = new KeyedLock();
  readonly #flushes: KeyFlushes;
  readonly #unflushed = new UnflushedKeys();
  /** How many deletes are under way in a directory. */
  readonly #deleting = new Map<string, number>();

  constructor(disk: Disk, layout: Layout, reader: DirectoryReader, intakeOf: (placing: Placing) => Intake) {
    this.#disk = disk;
    this.#layout = layout;
    this.#reader = reader;
    this.intake = intakeOf(this);
    this.#flushes = new KeyFlushes(
      async (key) => await this.#flushOne(key),
      disk.isLocal ? async () => await this.#flushAll() : undefined,
    );
  }

  /** One change of a key's place at a time. */
  async #change<T>(key: string, durability: Durability, work: () => Promise<T>): Promise<T> {
    return await this.intake.during(
      async () =>
        await this.#locks.run(this.#layout.pathsOf(key).plain, async () => {
          if (durability === "visible") await this.#leaveUnflushed(key);
          else if (this.#unflushed.has(key)) await this.#flushChanged(key);
          return await work();
        }),
    );
  }

  async #leaveUnflushed(key: string): Promise<void> {
    if (!this.intake.isUsed) return;
    this.#unflushed.add(key);
    if (this.#unflushed.areMany) await this.#flushAll();
  }

  async #flushChanged(key: string): Promise<void> {
    await this.#flushes.ask(key);
    this.#unflushed.delete(key);
  }

  /** The one way a file gets its place. Resolves when that, and the file, are durable. */
  async publish(ctx: Ctx, sealed: SealedFile, conditions?: WriteConditions): Promise<ObjectInfo> {
    const { info } = sealed;
    const { key } = info;
    try {
      return await this.#change(key, sealed.flushedLater === true ? "visible" : "durable", async () => {
        throwIfAborted(ctx, "store.commit");
        const { ifMatch, ifNoneMatch } = conditions ?? {};
        // Whether anything has the name is asked of the disk together with the rename, and of nobody between the two.
        if (ifNoneMatch !== undefined && ifMatch === undefined) {
          if (await this.#moveIntoPlace(key, sealed, "new")) return info;
          await this.#keepWhatIsThere(key);
        }
        if (ifMatch !== undefined || ifNoneMatch !== undefined)
          checkConditions(conditions, await findInfo(this.#disk, this.#layout, key));
        await this.#moveIntoPlace(key, sealed, "any");
        return info;
      });
    } catch (error) {
      if (errnoOf(error) === "ENOENT") await this.#layout.assertMounted("store.commit");
      throw fromErrno(error, "store.commit", { key });
    }
  }

  /** A refusal says that something has the name. A process that died right after the rename has not flushed it, perhaps. */
  async #keepWhatIsThere(key: string): Promise<void> {
    const { directory, place } = this.#layout.pathsOf(key);
    try {
      await this.#layout.syncDirectory(directory);
      await this.#layout.syncDirectories(place);
    } catch (error) {
      if (!AGAIN.has(errnoOf(error) ?? "")) throw error;
      // It is gone again, with its directory.
      await this.#layout.syncAbsence(place);
    }
  }

  /** See `Store.flush`. Nothing changes under the key meanwhile, so that a record of it that is forgotten is an older one. */
  async flush(key: string): Promise<void> {
    try {
      await this.#change(key, "visible", async () => {
        await this.#flushChanged(key);
        await this.intake.forget(key);
      });
    } catch (error) {
      throw fromErrno(error, "store.flush", { key });
    }
  }

  /** A file of which a record speaks still. */
  async flushNoted(key: string): Promise<void> {
    await this.#flushes.ask(key);
  }

  async #flushOne(key: string): Promise<void> {
    const { plain, beside } = this.#layout.pathsOf(key);
    for (const { path } of await filesAt(this.#disk, [plain, beside])) {
      await syncFile(this.#disk, path).catch((error: unknown) => {
        if (!ABSENT.has(errnoOf(error) ?? "")) throw error;
      });
    }
    await this.#keepWhatIsThere(key);
  }

  async #flushAll(): Promise<void> {
    const held = await this.#disk.hold(this.#layout.root);
    try {
      await this.#unflushed.during(async () => await held.syncFileSystem());
    } finally {
      held.release();
    }
  }

  /** Without a lock and without making anything durable: for who has the site to himself and flushes it afterwards. */
  async bring(key: string, path: string): Promise<void> {
    await this.#attempt(key, "noted", async (target) => await this.#rename(path, target, "any"));
    this.#reader.forget(this.#layout.pathsOf(key).directory);
  }

  /** The same. */
  async takeAway(key: string): Promise<void> {
    const { directory, plain, beside, place } = this.#layout.pathsOf(key);
    for (const { path } of await filesAt(this.#disk, [beside, plain])) await this.#disk.unlink(path);
    this.#reader.forget(directory);
    await this.#layout.pruneDirectories(place);
  }

  /** False: it is to be `new`, and something has one of its names. */
  async #moveIntoPlace(key: string, sealed: SealedFile, as: "new" | "any"): Promise<boolean> {
    const { directory, place } = this.#layout.pathsOf(key);
    const { small, flushedLater = false } = sealed;
    let isDurable = small === undefined;
    const moved = await this.#attempt(key, isDurable && !flushedLater ? "durable" : "noted", async (target) => {
      // Looked for while the disk is busy with the record.
      const isBeside = as === "new" ? this.#isBeside(target) : Promise.resolve(false);
      const noted = small === undefined ? undefined : await this.#note(key, small, as);
      if (small !== undefined && noted === undefined && !isDurable) {
        await syncFile(this.#disk, sealed.path);
        isDurable = true;
      }
      try {
        if ((await isBeside) || !(await this.#rename(sealed.path, target, as))) {
          await noted?.dropped();
          return false;
        }
      } catch (error) {
        await noted?.dropped();
        throw error;
      }
      if (noted !== undefined) await noted.made();
      else if (!flushedLater) await this.#layout.syncHeld(directory, target.held);
      isDurable = noted === undefined;
      return true;
    });
    if (moved && isDurable && !flushedLater) {
      await this.#layout.syncDirectories(place);
      await this.intake.forget(key);
    }
    if (moved) this.#reader.forget(directory);
    return moved;
  }

  async #note(key: string, small: SmallContent, as: "new" | "any"): Promise<Noted | undefined> {
    const { plain, beside } = this.#layout.pathsOf(key);
    if (as === "new") return await this.intake.note({ kind: "put", key, ...small });
    const replaced = (await filesAt(this.#disk, [plain, beside])).map(({ stat }) => instanceOf(stat));
    return await this.intake.note({ kind: "put", key, ...small, replaced });
  }

  /** Whether an object of the name has stepped aside for a directory, whatever became of that. */
  #isBeside({ held, place }: Target): Promise<boolean> {
    if (place.beside === undefined) return Promise.resolve(false);
    const looking = existsAt(this.#disk, `${held.path}/${place.beside}`).then((found) => found !== "absent");
    // Whoever waits for it hears of its failure; until then it must not count as unhandled.
    looking.catch(() => undefined);
    return looking;
  }

  /** Makes the directories of a key when they turn out to be missing. */
  async #attempt(key: string, as: "durable" | "noted", work: (target: Target) => Promise<boolean>): Promise<boolean> {
    const { directory, place } = this.#layout.pathsOf(key);
    for (let attempt = 0; ; attempt++) {
      try {
        if (attempt > 0) {
          await this.#layout.makeDirectories(
            place,
            as,
            async (occupied, index) => await this.#moveAside(place, occupied, index),
          );
        }
        const held = await this.#disk.hold(directory);
        try {
          return await work({ held, place });
        } finally {
          held.release();
        }
      } catch (error) {
        // A directory on the way is missing, was pruned meanwhile, or has just been made where the object should go.
        if (!AGAIN.has(errnoOf(error) ?? "") || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** False: see `#moveIntoPlace`. */
  async #rename(path: string, { held, place }: Target, as: "new" | "any"): Promise<boolean> {
    const plain = `${held.path}/${place.name}`;
    const beside = place.beside === undefined ? undefined : `${held.path}/${place.beside}`;
    if (as === "new") return await this.#renameNew(path, plain);
    await this.#renameOver(path, plain, beside);
    return true;
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

  async #renameNew(path: string, plain: string): Promise<boolean> {
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
      const [plain, hidden] = await filesAt(this.#disk, [occupied, `${directory}/${beside}`]);
      if (plain?.path !== occupied) return;
      // rename(2) does nothing where both names lead to one file, as after a copy that was made once more.
      if (hidden?.stat.place === plain.stat.place) await this.#disk.unlink(occupied);
      else await this.#disk.rename(occupied, `${directory}/${beside}`);
      await this.#layout.syncDirectory(directory);
      this.#reader.forget(directory);
    });
  }

  async remove(key: string, { ifMatch, durability = "durable" }: DeleteOptions): Promise<void> {
    try {
      await this.#change(key, durability, async () => {
        if (ifMatch !== undefined) {
          const current = await findInfo(this.#disk, this.#layout, key);
          if (current === undefined) return;
          checkConditions({ ifMatch }, current);
        }
        await this.#unlinkObject(key, durability === "visible");
      });
    } catch (error) {
      throw fromErrno(error, "store.delete", { key });
    }
  }

  /** The hidden one goes first: a crash in between must not bring an older object back. */
  async #unlinkObject(key: string, flushedLater: boolean): Promise<void> {
    const { directory, place } = this.#layout.pathsOf(key);
    this.#deleting.set(directory, (this.#deleting.get(directory) ?? 0) + 1);
    try {
      // Elsewhere an older object may lie beside it, which must not come back by itself.
      if (flushedLater && isInOwnCorner(place)) await this.#unlinkPaths(key, async () => undefined);
      else await this.#unlinkDurably(key);
    } finally {
      const others = (this.#deleting.get(directory) ?? 1) - 1;
      if (others > 0) this.#deleting.set(directory, others);
      else this.#deleting.delete(directory);
    }
    // Of deletes that run together the last one looks whether the directory is empty.
    if (!this.#deleting.has(directory)) await this.#layout.pruneDirectories(place);
  }

  async #unlinkDurably(key: string): Promise<void> {
    const { directory, plain, beside, place } = this.#layout.pathsOf(key);
    const found = await filesAt(this.#disk, [beside, plain]);
    const replaced = found.map(({ stat }) => instanceOf(stat));
    const noted = found.length === 0 ? undefined : await this.intake.note({ kind: "delete", key, replaced });
    if (noted !== undefined) return await this.#unlinkNoted(directory, found, noted);
    await this.#unlinkPaths(key, async () => await this.#layout.syncAbsence(place));
    await this.intake.forget(key);
  }

  async #unlinkNoted(directory: string, found: readonly FoundFile[], noted: Noted): Promise<void> {
    try {
      // Another process may be faster; its flush, or this record, keeps the object away.
      for (const { path } of found) await this.#disk.unlink(path).catch(ignoreAbsent);
    } catch (error) {
      await noted.dropped();
      throw error;
    }
    await noted.made();
    this.#reader.forget(directory);
  }

  async #unlinkPaths(key: string, flush: () => Promise<void>): Promise<void> {
    const { directory, plain, beside, place } = this.#layout.pathsOf(key);
    let removed = false;
    // What lies in our own corner has had its name once only: nothing older is hidden by it.
    const isAlone = isInOwnCorner(place) && (await existsAt(this.#disk, plain)) === "file";
    for (const path of beside === undefined || isAlone ? [plain] : [beside, plain]) {
      try {
        if (path === plain && !isAlone && (await existsAt(this.#disk, plain)) !== "file") continue;
        await this.#disk.unlink(path);
      } catch (error) {
        const errno = errnoOf(error);
        if (errno !== "ENOENT" && errno !== "ENOTDIR" && errno !== "ELOOP") throw error;
        continue;
      }
      removed = true;
      // Another delete may have removed the emptied directory meanwhile.
      await flush();
    }
    if (!removed) {
      await this.#layout.assertMounted("store.delete");
      // It may be gone since an earlier attempt that was killed before it flushed.
      await flush();
      return;
    }
    this.#reader.forget(directory);
  }
}

function ignoreAbsent(error: unknown): void {
  if (errnoOf(error) !== "ENOENT") throw error;
}

interface Target {
  readonly held: HeldDirectory;
  readonly place: DiskPlace;
}

const AGAIN: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "EISDIR", "ENOTEMPTY", "EEXIST"]);
const MAX_ATTEMPTS = 8;
