import { randomBytes } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import type { Ctx } from "../../../core/context.ts";
import { throwIfAborted } from "../../../core/context.ts";
import { fromErrno, GfsError } from "../../../core/errors.ts";
import { KeyedLock } from "../../../core/async/keyed-lock.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import type {
  CompleteOptions,
  MultipartOptions,
  MultipartUpload,
  ObjectInfo,
  PartBody,
  PartInfo,
} from "../../store.ts";
import { errnoOf } from "./failures.ts";
import { PartPlaces } from "./part-places.ts";
import { SequentialWriter } from "./sequential-writer.ts";
import { sealFile, type SealedFile, type StagingPlace } from "./writing.ts";
import { isInData, type PartMark, UploadDirectory } from "./upload-directory.ts";

/**
 * An upload is a directory in the staging area: `data`, where parts lie at the place that the object will have them at, files of their own for
 * parts that do not fit there, `upload`, which says what the object will be, and a small file for each part whose bytes are durable. So a part
 * that is listed is never lost, and one that is sent anew replaces the older one when it is there. When nothing is out of its place `data`
 * becomes the object. Before, it is renamed to `sealed`, which is never written again: after a crash the object may be the same file. An
 * upload belongs to one process.
 */
const UPLOAD_ID = /^upload-[0-9a-f]{24}$/;
const MAX_PARTS = 10_000;
/** So many uploads are remembered; what is forgotten is read from the disk again. */
const MAX_REMEMBERED = 10_000;

interface UploadRecord {
  readonly key: string;
  readonly partSizeBytes?: number | undefined;
  readonly sha256?: string | undefined;
  readonly contentType?: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export class MultipartFiles {
  readonly #place: StagingPlace;
  readonly #locks = new KeyedLock();
  readonly #places = new Map<string, PartPlaces>();
  readonly #completing = new Set<string>();

  constructor(place: StagingPlace) {
    this.#place = place;
  }

  get #disk(): Disk {
    return this.#place.disk;
  }

  #directoryOf({ uploadId }: Pick<MultipartUpload, "uploadId">): UploadDirectory {
    if (!UPLOAD_ID.test(uploadId)) throw gone(uploadId);
    return new UploadDirectory(`${this.#place.layout.staging}/${uploadId}`, this.#disk, this.#locks);
  }

  async create(key: string, options: MultipartOptions): Promise<MultipartUpload> {
    const { partSizeBytes } = options;
    if (partSizeBytes !== undefined && (!Number.isSafeInteger(partSizeBytes) || partSizeBytes < 1)) {
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
      await this.#disk.makeDirectory(directory.path);
      const data = await this.#disk.open(`${directory.path}/data`, "create");
      await data.close();
      await directory.writeSmall("upload", record);
      await this.#disk.syncDirectory(this.#place.layout.staging);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") await this.#place.layout.assertMounted("store.createMultipart");
      throw fromErrno(error, "store.createMultipart", { key });
    }
    return upload;
  }

  async #record(upload: MultipartUpload): Promise<UploadRecord> {
    let record: UploadRecord;
    try {
      record = (await this.#directoryOf(upload).readSmall("upload")) as UploadRecord;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw gone(upload.uploadId);
      throw fromErrno(error, "store.multipart", { key: upload.key });
    }
    if (record.key !== upload.key) throw gone(upload.uploadId);
    return record;
  }

  #placesOf(uploadId: string, record: UploadRecord): PartPlaces {
    const known = this.#places.get(uploadId);
    if (known !== undefined) return known;
    if (this.#places.size >= MAX_REMEMBERED) {
      for (const [id, places] of this.#places) if (places.writersInData === 0) this.#places.delete(id);
    }
    const places = new PartPlaces(record.partSizeBytes);
    this.#places.set(uploadId, places);
    return places;
  }

  async uploadPart(ctx: Ctx, upload: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    const record = await this.#record(upload);
    if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS) {
      throw new GfsError("InvalidArgument", `Parts are numbered 1 to ${MAX_PARTS}, not ${partNumber}.`);
    }
    if (body.sizeBytes > (record.partSizeBytes ?? MAX_PART_BYTES)) {
      throw new GfsError(
        "TooLarge",
        `A part of this upload has at most ${record.partSizeBytes ?? MAX_PART_BYTES} bytes, not ${body.sizeBytes}.`,
      );
    }
    const { uploadId } = upload;
    const directory = this.#directoryOf(upload);
    const places = this.#placesOf(uploadId, record);
    let place: PartMark["place"] | undefined;
    try {
      for (;;) {
        place = await places.choose(directory, partNumber, body.sizeBytes);
        if (!this.#completing.has(uploadId)) break;
        // Nobody may write into `data` now; afterwards the upload is gone, or goes on.
        if ("start" in place) places.release(partNumber);
        place = undefined;
        await this.#locks.run(uploadId, () => Promise.resolve());
        await this.#record(upload);
      }
      const sum = await this.#writePart(ctx, directory, place, body);
      // Part of it is chance: a part that was sent anew is another one, whatever its bytes.
      const etag = sum.toString(16).padStart(8, "0") + randomBytes(12).toString("hex");
      const info = { partNumber, sizeBytes: body.sizeBytes, etag };
      // A disk may keep the mark and forget the name of the file that it speaks of, unless that was there before.
      if ("file" in place) await this.#disk.syncDirectory(directory.path);
      await directory.mark({ ...info, place });
      return info;
    } catch (error) {
      if (place !== undefined && "file" in place) await directory.drop(place.file).catch(() => undefined);
      if (errnoOf(error) === "ENOENT") throw gone(uploadId);
      throw fromErrno(error, "store.uploadPart", { key: upload.key, partNumber });
    } finally {
      if (place !== undefined && "start" in place) places.release(partNumber);
    }
  }

  async #writePart(ctx: Ctx, directory: UploadDirectory, place: PartMark["place"], body: PartBody): Promise<number> {
    const inData = "start" in place;
    const file = inData
      ? await directory.openData()
      : await this.#disk.open(`${directory.path}/${place.file}`, "create");
    const writer = new SequentialWriter(file, inData ? place.start : 0, body.sizeBytes);
    try {
      let written = 0;
      let sum = 0;
      for await (const chunk of body.open()) {
        throwIfAborted(ctx, "store.uploadPart");
        written += chunk.byteLength;
        if (written > body.sizeBytes) throw wrongLength();
        sum = crc32c(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), sum);
        await writer.write(chunk);
      }
      if (written !== body.sizeBytes) throw wrongLength();
      await writer.end();
      await file.sync();
      return sum;
    } finally {
      await writer.settle().catch(() => undefined);
      await file.close();
    }
  }

  async listParts(upload: MultipartUpload): Promise<PartInfo[]> {
    return (await this.#marks(upload)).map(({ partNumber, sizeBytes, etag }) => ({ partNumber, sizeBytes, etag }));
  }

  async #marks(upload: MultipartUpload): Promise<PartMark[]> {
    await this.#record(upload);
    const directory = this.#directoryOf(upload);
    try {
      if (!(await directory.holdsBytes())) throw gone(upload.uploadId);
      return await directory.marks();
    } catch (error) {
      throw fromErrno(error, "store.listParts", { key: upload.key });
    }
  }

  async complete(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    options: CompleteOptions = {},
  ): Promise<ObjectInfo> {
    const { uploadId } = upload;
    return await this.#locks.run(uploadId, async () => {
      this.#completing.add(uploadId);
      try {
        return await this.#complete(ctx, upload, parts, options);
      } finally {
        this.#completing.delete(uploadId);
      }
    });
  }

  async #complete(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    options: CompleteOptions = {},
  ): Promise<ObjectInfo> {
    const record = await this.#record(upload);
    const marks = await this.#marks(upload);
    const chosen = choose(marks, parts, record.partSizeBytes);
    const sizeBytes = chosen.reduce((sum, part) => sum + part.sizeBytes, 0);
    const directory = this.#directoryOf(upload);
    try {
      const name = await this.#putTogether(ctx, upload, { directory, record, marks, chosen });
      const file =
        name === "data" ? await directory.openData() : await this.#disk.open(`${directory.path}/${name}`, "update");
      let sealed: Omit<SealedFile, "path">;
      try {
        await file.truncate(sizeBytes);
        sealed = await sealFile(this.#place, options.as ?? upload.key, file, {
          ...record,
          metadata: { ...record.metadata, ...options.metadata },
        });
      } finally {
        await file.close();
      }
      await this.#disk.rename(`${directory.path}/${name}`, `${directory.path}/sealed`);
      await this.#disk.syncDirectory(directory.path);
      const info = await this.#place.publish(ctx, { path: `${directory.path}/sealed`, ...sealed }, options);
      await directory.remove();
      this.#places.delete(upload.uploadId);
      return info;
    } catch (error) {
      throw fromErrno(error, "store.completeMultipart", { key: upload.key });
    }
  }

  /** Resolves with the name of the file that has all bytes in order. */
  async #putTogether(ctx: Ctx, upload: MultipartUpload, whole: Whole): Promise<string> {
    const { directory, record, marks, chosen } = whole;
    const placed = withStarts(chosen);
    const loose = placed.filter(({ mark, start }) => !isInData(mark) || mark.place.start !== start);
    // Bytes in `data` that are not the object's, or that somebody still writes, must neither go nor get in.
    const busyOrMixed =
      this.#placesOf(upload.uploadId, record).writersInData > 0 ||
      marks.some((mark) => isInData(mark) && !chosen.includes(mark)) ||
      loose.some(({ mark }) => isInData(mark));
    const name = busyOrMixed ? directory.freshName("assembled") : "data";
    if (!busyOrMixed && loose.length === 0) return name;
    const target = busyOrMixed
      ? await this.#disk.open(`${directory.path}/${name}`, "create")
      : await directory.openData();
    try {
      for (const { mark, start } of busyOrMixed ? placed : loose) {
        throwIfAborted(ctx, "store.completeMultipart");
        await this.#copyPart(directory, mark, target, start);
      }
    } finally {
      await target.close();
    }
    return name;
  }

  async #copyPart(directory: UploadDirectory, mark: PartMark, target: DiskFile, position: number): Promise<void> {
    const inData = isInData(mark);
    const source = inData
      ? await directory.openData()
      : await this.#disk.open(`${directory.path}/${(mark.place as { file: string }).file}`, "read");
    try {
      await target.copyFrom(source, { start: inData ? mark.place.start : 0, sizeBytes: mark.sizeBytes, position });
    } finally {
      await source.close();
    }
  }

  async abort(upload: MultipartUpload): Promise<void> {
    if (!UPLOAD_ID.test(upload.uploadId)) return;
    await this.#remove(this.#directoryOf(upload), upload.uploadId);
  }

  async #remove(directory: UploadDirectory, uploadId: string): Promise<void> {
    try {
      await directory.remove();
      this.#places.delete(uploadId);
    } catch (error) {
      throw fromErrno(error, "store.abortMultipart");
    }
  }

  async sweep(path: string): Promise<void> {
    await this.#remove(new UploadDirectory(path, this.#disk, this.#locks), path.slice(path.lastIndexOf("/") + 1));
  }
}

const MAX_PART_BYTES = 5 * 1024 ** 3;

interface Whole {
  readonly directory: UploadDirectory;
  readonly record: UploadRecord;
  /** All that have arrived. */
  readonly marks: readonly PartMark[];
  /** Those that make the object, in order. */
  readonly chosen: readonly PartMark[];
}

function choose(
  marks: readonly PartMark[],
  parts: readonly PartInfo[],
  partSizeBytes: number | undefined,
): readonly PartMark[] {
  const arrived = new Map(marks.map((mark) => [mark.partNumber, mark]));
  return parts.map(({ partNumber, etag }, index) => {
    const found = arrived.get(partNumber);
    const misplaced =
      partSizeBytes === undefined
        ? partNumber <= (parts[index - 1]?.partNumber ?? 0)
        : partNumber !== index + 1 || (index < parts.length - 1 && found?.sizeBytes !== partSizeBytes);
    if (!misplaced && found?.etag === etag) return found;
    throw new GfsError(
      "InvalidArgument",
      `Part ${partNumber} is missing, out of order, of the wrong size, or not the one that arrived.`,
      { op: "store.completeMultipart" },
    );
  });
}

function withStarts(marks: readonly PartMark[]): { readonly mark: PartMark; readonly start: number }[] {
  let end = 0;
  return marks.map((mark) => {
    const start = end;
    end += mark.sizeBytes;
    return { mark, start };
  });
}

function wrongLength(): GfsError {
  return new GfsError("IncompleteBody", "A part has another length than was announced.", { op: "store.uploadPart" });
}

function gone(uploadId: string): GfsError {
  return new GfsError("NotFound", `There is no upload ${uploadId.slice(0, 40)}; it was completed or aborted.`, {
    op: "store.multipart",
  });
}
