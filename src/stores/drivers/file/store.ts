import { throwIfAborted, type Ctx } from "../../../core/context.ts";
import { fromErrno, GfsError, toGfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Disk } from "../../../core/ports/disk.ts";
import { checkObjectKey } from "../../object-key.ts";
import type {
  CompleteOptions,
  CopyOptions,
  DeleteOptions,
  DeleteOutcome,
  GetOptions,
  ListPage,
  ListQuery,
  Medium,
  MediumSpace,
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
} from "../../store.ts";
import { capabilitiesOf } from "./config.ts";
import { copyObject } from "./copying.ts";
import { errnoOf } from "./failures.ts";
import { Intake, type IntakeConfig } from "./intake/intake.ts";
import type { Standing } from "./intake/log.ts";
import { replaySegments } from "./intake/replaying.ts";
import type { Layout } from "./layout.ts";
import { DirectoryReader, listObjects } from "./listing.ts";
import { MultipartFiles } from "./multipart.ts";
import { Placing } from "./placing.ts";
import { openBody, openObject } from "./reading.ts";
import { StagedFile, type StagingPlace } from "./writing.ts";

export interface FileStoreParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly layout: Layout;
  readonly keepsAttributes: boolean;
  readonly intake: IntakeConfig;
  readonly onStanding: (standing: Standing) => void;
}

interface Leftover {
  readonly directory: boolean;
  readonly oldestKeptMs: number;
  /** Asked of what is old only. */
  readonly inUse: () => Promise<boolean>;
}

export class FileStore implements Store {
  readonly driver = "file";
  readonly capabilities: StoreCapabilities;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #layout: Layout;
  readonly #reader: DirectoryReader;
  readonly #place: StagingPlace;
  readonly #multipart: MultipartFiles;
  readonly #placing: Placing;

  readonly #intake: Intake;

  constructor({ disk, clock, layout, keepsAttributes, intake, onStanding }: FileStoreParts) {
    this.#disk = disk;
    this.#clock = clock;
    this.#layout = layout;
    this.#reader = new DirectoryReader(disk);
    this.#placing = new Placing(disk, layout, this.#reader, (placing) => {
      const replay = async (): Promise<void> => await replaySegments({ disk, layout, placing });
      return new Intake({ disk, clock, layout, replay, onStanding }, intake);
    });
    this.#intake = this.#placing.intake;
    this.capabilities = capabilitiesOf(keepsAttributes);
    this.#place = {
      disk,
      layout,
      keepsAttributes: () => keepsAttributes,
      notes: (sizeBytes) => keepsAttributes && this.#intake.takes(sizeBytes),
      isNoted: (key) => this.#intake.isNoted(key),
      flushNoted: async (key) => await this.#placing.flushNoted(key),
      publish: async (ctx, sealed, conditions) => await this.#placing.publish(ctx, sealed, conditions),
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

  async copy(ctx: Ctx, from: string, to: string, options: CopyOptions = {}): Promise<ObjectInfo> {
    checkObjectKey(from);
    checkObjectKey(to);
    return await copyObject(this.#place, ctx, { from, to, options });
  }

  async delete(_ctx: Ctx, key: string, options: DeleteOptions = {}): Promise<void> {
    checkObjectKey(key);
    await this.#placing.remove(key, options);
  }

  async flush(_ctx: Ctx, key: string): Promise<void> {
    checkObjectKey(key);
    await this.#placing.flush(key);
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

  async space(): Promise<MediumSpace> {
    try {
      await this.#layout.assertMounted("store.space");
      return await this.#disk.space(this.#layout.root);
    } catch (error) {
      throw fromErrno(error, "store.space", { root: this.#layout.root });
    }
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
        const path = `${this.#layout.staging}/${name}`;
        const inUse = async (): Promise<boolean> => kind === "directory" && (await isInUse?.(name)) === true;
        if (await this.#sweepOne(path, { directory: kind === "directory", oldestKeptMs, inUse })) removed += 1;
      }
    } catch (error) {
      throw fromErrno(error, "store.sweep");
    }
    return removed;
  }

  async #sweepOne(path: string, { directory, oldestKeptMs, inUse }: Leftover): Promise<boolean> {
    try {
      // Parts that arrive touch one of the two.
      if ((await this.#disk.stat(path)).modifiedMs > oldestKeptMs) return false;
      if (directory && (await this.#disk.stat(`${path}/data`)).modifiedMs > oldestKeptMs) return false;
      if (await inUse()) return false;
      if (directory) await this.#multipart.sweep(path);
      else await this.#disk.unlink(path);
      return true;
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      if (!directory || (await this.#disk.stat(path)).modifiedMs > oldestKeptMs || (await inUse())) return false;
      await this.#multipart.sweep(path);
      return true;
    }
  }

  readonly medium: Medium = {
    stamp: () =>
      this.#layout.stamp(async () => {
        this.#reader.clear();
        await this.#intake.moved();
      }),
    prepare: () => this.#layout.prepare(),
  };

  /** Before anything is asked. */
  async recover(): Promise<void> {
    await this.#intake.recover();
  }

  async close(): Promise<void> {
    await this.#intake.close();
  }
}
