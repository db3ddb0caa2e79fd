import { createHash, randomBytes } from "node:crypto";
import type { Ctx } from "../../../core/context.ts";
import { throwIfAborted } from "../../../core/context.ts";
import { fromErrno, GfsError } from "../../../core/errors.ts";
import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import type {
  MultipartOptions,
  MultipartUpload,
  ObjectInfo,
  PartBody,
  PartInfo,
  WriteConditions,
} from "../../store.ts";
import { errnoOf } from "./layout.ts";
import { existsAt } from "./reading.ts";
import { sealFile, type StagingPlace } from "./staged-file.ts";

/**
 * An upload is a directory in the staging area: `data`, where each part is written at its place, `upload`, which says what the object will
 * be, and a small file for each part whose bytes are durable. So a part that is listed is never lost. Before it becomes the object, `data`
 * is renamed to `sealed`, which is never written again: after a crash the object may be the same file. An upload belongs to one process.
 */
const UPLOAD_ID = /^upload-[0-9a-f]{24}$/;
const MAX_PARTS = 10_000;

interface UploadRecord {
  readonly key: string;
  readonly partSizeBytes: number;
  readonly sha256?: string | undefined;
  readonly contentType?: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export class MultipartFiles {
  readonly #place: StagingPlace;
  readonly #locks = new KeyedLock();
  /** How many parts of an upload are on their way. */
  readonly #arriving = new Map<string, number>();
  readonly #completing = new Set<string>();

  constructor(place: StagingPlace) {
    this.#place = place;
  }

  get #disk(): Disk {
    return this.#place.disk;
  }

  #directoryOf({ uploadId }: MultipartUpload): string {
    if (!UPLOAD_ID.test(uploadId)) throw gone(uploadId);
    return `${this.#place.layout.staging}/${uploadId}`;
  }

  async create(key: string, options: MultipartOptions): Promise<MultipartUpload> {
    const { partSizeBytes } = options;
    if (partSizeBytes === undefined) throw new GfsError("Unsupported", "Parts need one size here.");
    if (!Number.isSafeInteger(partSizeBytes) || partSizeBytes < 1) {
      throw new GfsError("InvalidArgument", `A part must have at least one byte, not ${partSizeBytes}.`);
    }
    const upload = { key, uploadId: `upload-${randomBytes(12).toString("hex")}` };
    const directory = this.#directoryOf(upload);
    const record: UploadRecord = {
      key,
      partSizeBytes,
      sha256: options.sha256,
      contentType: options.contentType,
      metadata: options.metadata ?? {},
    };
    try {
      await this.#disk.makeDirectory(directory);
      const data = await this.#disk.open(`${directory}/data`, "create");
      await data.close();
      await this.#writeSmall(directory, "upload", record);
      await this.#disk.syncDirectory(this.#place.layout.staging);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") await this.#place.layout.assertMounted("store.createMultipart");
      throw fromErrno(error, "store.createMultipart", { key });
    }
    return upload;
  }

  async #writeSmall(directory: string, name: string, content: unknown): Promise<void> {
    const temporary = `${directory}/.${randomBytes(6).toString("hex")}`;
    const file = await this.#disk.open(temporary, "create");
    try {
      await file.write([Buffer.from(JSON.stringify(content))], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(temporary, `${directory}/${name}`);
    await this.#disk.syncDirectory(directory);
  }

  async #readSmall(path: string): Promise<unknown> {
    const file = await this.#disk.open(path, "read");
    try {
      const buffer = Buffer.alloc((await file.stat()).sizeBytes);
      await file.read(buffer, 0);
      return JSON.parse(buffer.toString());
    } finally {
      await file.close();
    }
  }

  async #record(upload: MultipartUpload): Promise<UploadRecord> {
    let record: UploadRecord;
    try {
      record = (await this.#readSmall(`${this.#directoryOf(upload)}/upload`)) as UploadRecord;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw gone(upload.uploadId);
      throw fromErrno(error, "store.multipart", { key: upload.key });
    }
    if (record.key !== upload.key) throw gone(upload.uploadId);
    return record;
  }

  async uploadPart(ctx: Ctx, upload: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    const record = await this.#record(upload);
    if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS) {
      throw new GfsError("InvalidArgument", `Parts are numbered 1 to ${MAX_PARTS}, not ${partNumber}.`);
    }
    if (body.sizeBytes > record.partSizeBytes) {
      throw new GfsError(
        "TooLarge",
        `A part of this upload has at most ${record.partSizeBytes} bytes, not ${body.sizeBytes}.`,
      );
    }
    const { uploadId } = upload;
    if (this.#completing.has(uploadId)) throw busy("is being completed");
    this.#arriving.set(uploadId, (this.#arriving.get(uploadId) ?? 0) + 1);
    try {
      return await this.#locks.run(
        `${uploadId}/${partNumber}`,
        async () => await this.#replacePart(ctx, this.#directoryOf(upload), record, partNumber, body),
      );
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw gone(uploadId);
      throw fromErrno(error, "store.uploadPart", { key: upload.key, partNumber });
    } finally {
      const left = (this.#arriving.get(uploadId) ?? 1) - 1;
      if (left === 0) this.#arriving.delete(uploadId);
      else this.#arriving.set(uploadId, left);
    }
  }

  async #replacePart(
    ctx: Ctx,
    directory: string,
    record: UploadRecord,
    partNumber: number,
    body: PartBody,
  ): Promise<PartInfo> {
    // While it is sent again, the part counts as missing; its old mark must not come back to bytes that are half replaced.
    await this.#disk.unlink(`${directory}/part-${partNumber}`).catch(ignoreAbsent);
    await this.#disk.syncDirectory(directory);
    const hash = createHash("sha256");
    await this.#writePart(ctx, directory, (partNumber - 1) * record.partSizeBytes, body, hash);
    const part: PartInfo = { partNumber, sizeBytes: body.sizeBytes, etag: hash.digest("hex").slice(0, 32) };
    await this.#writeSmall(directory, `part-${partNumber}`, part);
    return part;
  }

  /** A crash may have left only a sealed file, which may be an object by now: a copy of it takes the writes. */
  async #openData(directory: string): Promise<DiskFile> {
    try {
      return await this.#disk.open(`${directory}/data`, "update");
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    await this.#locks.run(directory, async () => {
      if ((await existsAt(this.#disk, `${directory}/data`)) === "file") return;
      const temporary = `${directory}/.${randomBytes(6).toString("hex")}`;
      await this.#disk.copy(`${directory}/sealed`, temporary);
      const file = await this.#disk.open(temporary, "update");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#disk.rename(temporary, `${directory}/data`);
      await this.#disk.syncDirectory(directory);
    });
    return await this.#disk.open(`${directory}/data`, "update");
  }

  async #writePart(
    ctx: Ctx,
    directory: string,
    start: number,
    body: PartBody,
    hash: ReturnType<typeof createHash>,
  ): Promise<void> {
    const file = await this.#openData(directory);
    try {
      let written = 0;
      for await (const chunk of body.open()) {
        throwIfAborted(ctx, "store.uploadPart");
        if (written + chunk.byteLength > body.sizeBytes) throw wrongLength();
        hash.update(chunk);
        await file.write([chunk], start + written);
        written += chunk.byteLength;
      }
      if (written !== body.sizeBytes) throw wrongLength();
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async listParts(upload: MultipartUpload): Promise<PartInfo[]> {
    await this.#record(upload);
    const directory = this.#directoryOf(upload);
    try {
      if (
        (await existsAt(this.#disk, `${directory}/data`)) !== "file" &&
        (await existsAt(this.#disk, `${directory}/sealed`)) !== "file"
      ) {
        throw gone(upload.uploadId);
      }
      const names = (await this.#disk.readDirectory(directory)).filter(({ name }) => name.startsWith("part-"));
      const parts: PartInfo[] = [];
      for (const { name } of names) parts.push((await this.#readSmall(`${directory}/${name}`)) as PartInfo);
      return parts.sort((one, other) => one.partNumber - other.partNumber);
    } catch (error) {
      throw fromErrno(error, "store.listParts", { key: upload.key });
    }
  }

  async complete(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    conditions?: WriteConditions,
  ): Promise<ObjectInfo> {
    const { uploadId } = upload;
    return await this.#locks.run(uploadId, async () => {
      if (this.#arriving.has(uploadId)) throw busy("still receives a part");
      this.#completing.add(uploadId);
      try {
        return await this.#complete(ctx, upload, parts, conditions);
      } finally {
        this.#completing.delete(uploadId);
      }
    });
  }

  async #complete(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    conditions?: WriteConditions,
  ): Promise<ObjectInfo> {
    const record = await this.#record(upload);
    const arrived = new Map((await this.listParts(upload)).map((part) => [part.partNumber, part]));
    let sizeBytes = 0;
    for (const [index, part] of parts.entries()) {
      const found = arrived.get(part.partNumber);
      const last = index === parts.length - 1;
      if (
        part.partNumber !== index + 1 ||
        found === undefined ||
        found.etag !== part.etag ||
        (!last && found.sizeBytes !== record.partSizeBytes)
      ) {
        throw new GfsError(
          "InvalidArgument",
          `Part ${part.partNumber} is missing, out of order, of the wrong size, or not the one that arrived.`,
          {
            op: "store.completeMultipart",
          },
        );
      }
      sizeBytes += found.sizeBytes;
    }
    const directory = this.#directoryOf(upload);
    try {
      const file = await this.#openData(directory);
      let sealed: ObjectInfo;
      try {
        await file.truncate(sizeBytes);
        sealed = await sealFile(this.#place, upload.key, file, record);
      } finally {
        await file.close();
      }
      await this.#disk.rename(`${directory}/data`, `${directory}/sealed`);
      await this.#disk.syncDirectory(directory);
      const info = await this.#place.publish(ctx, { path: `${directory}/sealed`, info: sealed }, conditions);
      await this.#remove(directory);
      return info;
    } catch (error) {
      throw fromErrno(error, "store.completeMultipart", { key: upload.key });
    }
  }

  async abort(upload: MultipartUpload): Promise<void> {
    if (!UPLOAD_ID.test(upload.uploadId)) return;
    await this.#remove(this.#directoryOf(upload));
  }

  /** The record goes first: without it the upload is gone, whatever else is left to sweep. */
  async #remove(directory: string): Promise<void> {
    try {
      await this.#disk.unlink(`${directory}/upload`).catch(ignoreAbsent);
      await this.#disk.syncDirectory(directory);
      for (const { name } of await this.#disk.readDirectory(directory))
        await this.#disk.unlink(`${directory}/${name}`).catch(ignoreAbsent);
      await this.#disk.removeDirectory(directory);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw fromErrno(error, "store.abortMultipart");
    }
  }

  async sweep(directory: string): Promise<void> {
    await this.#remove(directory);
  }
}

function ignoreAbsent(error: unknown): void {
  if (errnoOf(error) !== "ENOENT") throw error;
}

function busy(what: string): GfsError {
  return new GfsError("Conflict", `The upload ${what}; try again.`, { op: "store.multipart" });
}

function wrongLength(): GfsError {
  return new GfsError("IncompleteBody", "A part has another length than was announced.", { op: "store.uploadPart" });
}

function gone(uploadId: string): GfsError {
  return new GfsError("NotFound", `There is no upload ${uploadId.slice(0, 40)}; it was completed or aborted.`, {
    op: "store.multipart",
  });
}
