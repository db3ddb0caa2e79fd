import { basename, dirname, join } from "node:path";
import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import { throwIfAborted, type Ctx } from "../../../core/context.ts";
import { fromErrno, GfsError, isGfsError, toGfsError } from "../../../core/errors.ts";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import { checkConditions } from "../../conditions.ts";
import { checkObjectKey } from "../../object-key.ts";
import type {
  CompleteOptions,
  DeleteOutcome,
  GetOptions,
  ListPage,
  ListQuery,
  Medium,
  MultipartOptions,
  MultipartUpload,
  ObjectBody,
  ObjectInfo,
  PartBody,
  PartInfo,
  StagedWrite,
  StageOptions,
  Store,
  StoreCapabilities,
  UploadCheck,
  WriteAttributes,
  WriteConditions,
} from "../../store.ts";
import { reopeningStore } from "../../identity/reopening.ts";
import { besideOf, type DiskPlace } from "./disk-names.ts";
import { errnoOf, Layout, type ObjectPaths } from "./layout.ts";
import { DirectoryReader, listObjects } from "./listing.ts";
import { MultipartFiles } from "./multipart.ts";
import { diskFor } from "./disk/node-disk.ts";
import { ATTRIBUTE } from "./object-record.ts";
import { existsAt, findInfo, openBody, openObject } from "./reading.ts";
import { type SealedFile, sealFile, StagedFile, type StagingPlace } from "./writing.ts";

export interface FileStoreConfig {
  /** An absolute path. Its last component is made when it is missing. */
  readonly root: string;
  /** False: no component of `root` may be a symbolic link. Default: links on the way to it are followed, once. */
  readonly followsLinks?: boolean;
  /** True: it was used before, so that nothing is made there. While it is not there the store is `Unavailable`, and looks again. */
  readonly existing?: boolean;
}

export interface FileStoreDeps {
  readonly disk?: Disk;
  readonly clock?: Clock;
}

/**
 * Objects as plain files below a directory. A write goes to a file of its own, is flushed, renamed into place, and acknowledged once the
 * directory is flushed, too. Several processes may share a directory: renames are atomic between them; conditions on writes hold within one.
 */
export async function openFileStore(config: FileStoreConfig, deps: FileStoreDeps = {}): Promise<Store> {
  if (config.existing !== true) return await open(config, deps);
  try {
    return await open(config, deps);
  } catch {
    // What is wrong is said to whoever asks for something.
    return reopeningStore({
      driver: "file",
      capabilities: capabilitiesOf(true),
      open: async () => await open(config, deps),
      make: async () => await open({ ...config, existing: false }, deps),
    });
  }
}

async function open(config: FileStoreConfig, deps: FileStoreDeps): Promise<Store> {
  try {
    const disk = deps.disk ?? (await diskFor(dirname(config.root)));
    const layout = new Layout(config.followsLinks === false ? config.root : await realRoot(disk, config.root), disk);
    if (config.existing === true) await layout.assertMounted("store.open");
    else await layout.prepare();
    const keepsAttributes = await probeAttributes(disk, layout);
    return new FileStore(disk, deps.clock ?? systemClock, layout, keepsAttributes);
  } catch (error) {
    if (config.existing === true && isGfsError(error, "Unavailable")) throw error;
    const failure = fromErrno(error, "store.open", { root: config.root });
    throw new GfsError(failure.code, `The directory ${config.root} cannot hold a site: ${failure.message}`, {
      op: "store.open",
      cause: error,
    });
  }
}

/** The directory of a site may be reached by links of the operator's; those below it are not followed. */
async function realRoot(disk: Disk, root: string): Promise<string> {
  try {
    return await disk.realPath(root);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    return join(await disk.realPath(dirname(root)), basename(root));
  }
}

async function probeAttributes(disk: Disk, layout: Layout): Promise<boolean> {
  const path = `${layout.staging}/probe-${process.pid}-${Math.random().toString(36).slice(2)}`;
  let file: DiskFile;
  try {
    file = await disk.open(path, "create");
  } catch (error) {
    // A full disk, or one to read from only, still gives what it holds, and deletes it.
    if (TAKES_NOTHING.has(errnoOf(error) ?? "")) return true;
    throw error;
  }
  try {
    await file.setAttribute(ATTRIBUTE, Buffer.from("{}"));
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (errno === "ENOTSUP") return false;
    if (TAKES_NOTHING.has(errno)) return true;
    throw error;
  } finally {
    await file.close();
    await disk.unlink(path);
  }
}

const TAKES_NOTHING = new Set(["ENOSPC", "EDQUOT", "EROFS"]);

class FileStore implements Store {
  readonly driver = "file";
  readonly capabilities: StoreCapabilities;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #layout: Layout;
  readonly #locks = new KeyedLock();
  readonly #reader: DirectoryReader;
  readonly #place: StagingPlace;
  readonly #multipart: MultipartFiles;
  /** How many deletes are under way in a directory. */
  readonly #deleting = new Map<string, number>();

  constructor(disk: Disk, clock: Clock, layout: Layout, keepsAttributes: boolean) {
    this.#disk = disk;
    this.#clock = clock;
    this.#layout = layout;
    this.#reader = new DirectoryReader(disk);
    this.capabilities = capabilitiesOf(keepsAttributes);
    this.#place = {
      disk,
      layout,
      keepsAttributes: () => keepsAttributes,
      publish: async (ctx, sealed, conditions) => await this.#publish(ctx, sealed, conditions),
    };
    this.#multipart = new MultipartFiles(this.#place);
  }

  async head(_ctx: Ctx, key: string): Promise<ObjectInfo> {
    checkObjectKey(key);
    const { file, info } = await openObject(this.#disk, this.#layout, key);
    await file.close();
    return info;
  }

  async get(ctx: Ctx, key: string, options?: GetOptions): Promise<ObjectBody> {
    checkObjectKey(key);
    return await openBody(ctx, await openObject(this.#disk, this.#layout, key), options);
  }

  async stage(_ctx: Ctx, key: string, options: StageOptions = {}): Promise<StagedWrite> {
    checkObjectKey(key);
    return await StagedFile.open(this.#place, key, options);
  }

  /** The one way a file gets its place. Resolves when the name is durable. */
  async #publish(ctx: Ctx, { path, info }: SealedFile, conditions?: WriteConditions): Promise<ObjectInfo> {
    const { key } = info;
    return await this.#locks.run(this.#layout.pathsOf(key).plain, async () => {
      throwIfAborted(ctx, "store.commit");
      if (conditions !== undefined) checkConditions(conditions, await findInfo(this.#disk, this.#layout, key));
      try {
        await this.#moveIntoPlace(key, path);
      } catch (error) {
        if (errnoOf(error) === "ENOENT") await this.#layout.assertMounted("store.commit");
        throw fromErrno(error, "store.commit", { key });
      }
      return info;
    });
  }

  async #moveIntoPlace(key: string, path: string): Promise<void> {
    const { directory, plain, beside, place } = this.#layout.pathsOf(key);
    for (let attempt = 0; ; attempt++) {
      try {
        if (attempt > 0) {
          await this.#layout.makeDirectories(
            place,
            async (occupied, index) => await this.#moveAside(place, occupied, index),
          );
        }
        await this.#renameInto(path, plain, beside);
        await this.#layout.syncDirectory(directory);
        await this.#layout.syncDirectories(place);
        this.#reader.forget(directory);
        return;
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

  async #renameInto(path: string, plain: string, beside: string | undefined): Promise<void> {
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

  async createMultipart(_ctx: Ctx, key: string, options: MultipartOptions): Promise<MultipartUpload> {
    checkObjectKey(key);
    return await this.#multipart.create(key, options);
  }

  async uploadPart(ctx: Ctx, upload: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    return await this.#multipart.uploadPart(ctx, upload, partNumber, body);
  }

  async listParts(_ctx: Ctx, upload: MultipartUpload): Promise<PartInfo[]> {
    return await this.#multipart.listParts(upload);
  }

  async completeMultipart(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    options?: CompleteOptions,
  ): Promise<ObjectInfo> {
    return await this.#multipart.complete(ctx, upload, parts, options);
  }

  async abortMultipart(_ctx: Ctx, upload: MultipartUpload): Promise<void> {
    await this.#multipart.abort(upload);
  }

  async copy(
    ctx: Ctx,
    from: string,
    to: string,
    options: WriteAttributes & WriteConditions & { readonly sourceIfMatch?: string } = {},
  ): Promise<ObjectInfo> {
    checkObjectKey(from);
    checkObjectKey(to);
    const source = await openObject(this.#disk, this.#layout, from);
    await source.file.close();
    if (options.sourceIfMatch !== undefined && options.sourceIfMatch !== source.info.etag) {
      throw new GfsError("PreconditionFailed", "The source is another object by now.", { op: "store.copy" });
    }
    const { contentType, metadata, ifMatch, ifNoneMatch } = options;
    const path = `${this.#layout.staging}/copy-${process.pid}-${Math.random().toString(36).slice(2)}`;
    try {
      await this.#copyBytes(from, path);
      const file = await this.#disk.open(path, "update");
      let sealed: ObjectInfo;
      try {
        const sizeBytes = (await file.stat()).sizeBytes;
        // Between the look and the copy the source may have been replaced.
        const now = await findInfo(this.#disk, this.#layout, from);
        if (now?.etag !== source.info.etag || sizeBytes !== source.info.sizeBytes) {
          throw new GfsError("Conflict", `${from} changed while it was copied; try again.`, { op: "store.copy" });
        }
        sealed = await sealFile(this.#place, to, file, {
          sha256: source.info.sha256,
          contentType: contentType ?? source.info.contentType,
          metadata: metadata ?? source.info.metadata,
        });
      } finally {
        await file.close();
      }
      return await this.#publish(
        ctx,
        { path, info: sealed },
        {
          ...(ifMatch === undefined ? {} : { ifMatch }),
          ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
        },
      );
    } catch (error) {
      await this.#disk.unlink(path).catch(() => undefined);
      throw fromErrno(error, "store.copy", { from, to });
    }
  }

  async #copyBytes(from: string, path: string): Promise<void> {
    const { plain, beside } = this.#layout.pathsOf(from);
    if (beside !== undefined && (await existsAt(this.#disk, plain)) !== "file") await this.#disk.copy(beside, path);
    else await this.#disk.copy(plain, path);
  }

  async delete(_ctx: Ctx, key: string, options: { readonly ifMatch?: string } = {}): Promise<void> {
    checkObjectKey(key);
    await this.#locks.run(this.#layout.pathsOf(key).plain, async () => {
      try {
        if (options.ifMatch !== undefined) {
          const current = await findInfo(this.#disk, this.#layout, key);
          if (current === undefined) return;
          checkConditions({ ifMatch: options.ifMatch }, current);
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

  async deleteMany(ctx: Ctx, keys: readonly string[]): Promise<DeleteOutcome[]> {
    const outcomes: DeleteOutcome[] = [];
    for (const key of keys) {
      throwIfAborted(ctx, "store.deleteMany");
      try {
        await this.delete(ctx, key);
        outcomes.push({ key });
      } catch (error) {
        outcomes.push({ key, error: toGfsError(error) });
      }
    }
    return outcomes;
  }

  async list(ctx: Ctx, query: ListQuery): Promise<ListPage> {
    return await listObjects({ disk: this.#disk, layout: this.#layout, reader: this.#reader }, ctx, query);
  }

  async presign(): Promise<string> {
    throw new GfsError(
      "Unsupported",
      "A local directory has no addresses to hand out; read the object through GlobalFS.",
      { op: "store.presign" },
    );
  }

  async check(): Promise<void> {
    await this.#layout.assertMounted("store.check");
    const path = `${this.#layout.staging}/check-${process.pid}-${Math.random().toString(36).slice(2)}`;
    try {
      const file = await this.#disk.open(path, "create");
      await file.close();
      await this.#disk.unlink(path);
      const { freeBytes } = await this.#disk.space(this.#layout.root);
      if (freeBytes === 0) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    } catch (error) {
      throw fromErrno(error, "store.check", { root: this.#layout.root });
    }
  }

  async sweep(ctx: Ctx, olderThanMs: number, isInUse?: UploadCheck): Promise<number> {
    const oldestKeptMs = this.#clock.nowMs() - olderThanMs;
    let removed = 0;
    try {
      for (const { name, kind } of await this.#disk.readDirectory(this.#layout.staging)) {
        throwIfAborted(ctx, "store.sweep");
        if (kind === "directory" && (await isInUse?.(name)) === true) continue;
        if (await this.#sweepOne(`${this.#layout.staging}/${name}`, kind === "directory", oldestKeptMs)) removed += 1;
      }
    } catch (error) {
      throw fromErrno(error, "store.sweep");
    }
    return removed;
  }

  async #sweepOne(path: string, directory: boolean, oldestKeptMs: number): Promise<boolean> {
    try {
      // Parts that arrive touch one of the two.
      if ((await this.#disk.stat(path)).modifiedMs > oldestKeptMs) return false;
      if (directory && (await this.#disk.stat(`${path}/data`)).modifiedMs > oldestKeptMs) return false;
      if (directory) await this.#multipart.sweep(path);
      else await this.#disk.unlink(path);
      return true;
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      if (!directory || (await this.#disk.stat(path)).modifiedMs > oldestKeptMs) return false;
      await this.#multipart.sweep(path);
      return true;
    }
  }

  readonly medium: Medium = {
    stamp: async () => await this.#layout.stamp(() => this.#reader.clear()),
    prepare: async () => await this.#layout.prepare(),
  };

  async close(): Promise<void> {
    // Descriptors belong to their reads and writes; there is nothing else to give back.
  }
}

const MAX_ATTEMPTS = 8;

function capabilitiesOf(keepsAttributes: boolean): StoreCapabilities {
  return {
    conditionalWrites: true,
    conditionalReads: true,
    ranges: true,
    userMetadata: keepsAttributes,
    multipart: { minPartBytes: 1, maxPartBytes: 5 * 1024 ** 3, maxParts: 10_000 },
    serverSideCopy: true,
    presign: false,
    maxObjectBytes: 16 * 1024 ** 4,
    listAfter: "seek",
  };
}
