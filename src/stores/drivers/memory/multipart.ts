import { createHash, randomBytes } from "node:crypto";
import { throwIfAborted, type Ctx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import { checkObjectKey } from "../../object-key.ts";
import type {
  CompleteOptions,
  MultipartOptions,
  MultipartUpload,
  ObjectInfo,
  PartBody,
  PartInfo,
  UploadCheck,
} from "../../store.ts";
import type { MemoryContent } from "./content.ts";
import { noUpload, wrongLength } from "./failures.ts";

interface Upload {
  readonly key: string;
  readonly options: MultipartOptions;
  readonly createdMs: number;
  readonly parts: Map<number, { readonly info: PartInfo; readonly bytes: Buffer }>;
}

export class MemoryUploads {
  readonly #content: MemoryContent;
  readonly #clock: Clock;
  readonly #uploads = new Map<string, Upload>();

  constructor(content: MemoryContent, clock: Clock) {
    this.#content = content;
    this.#clock = clock;
  }

  create(key: string, options: MultipartOptions): MultipartUpload {
    checkObjectKey(key);
    const uploadId = randomBytes(12).toString("hex");
    this.#uploads.set(uploadId, { key, options, createdMs: this.#clock.nowMs(), parts: new Map() });
    return { key, uploadId };
  }

  #find({ key, uploadId }: MultipartUpload): Upload {
    const upload = this.#uploads.get(uploadId);
    if (upload?.key !== key) throw noUpload();
    return upload;
  }

  async uploadPart(ctx: Ctx, which: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo> {
    const upload = this.#find(which);
    if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > 10_000) {
      throw new GfsError("InvalidArgument", `Parts are numbered 1 to 10,000, not ${partNumber}.`);
    }
    if (upload.options.partSizeBytes !== undefined && body.sizeBytes > upload.options.partSizeBytes) {
      throw new GfsError("TooLarge", `A part of this upload has at most ${upload.options.partSizeBytes} bytes.`);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of body.open()) {
      throwIfAborted(ctx, "store.uploadPart");
      chunks.push(Buffer.from(chunk));
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length !== body.sizeBytes) throw wrongLength();
    this.#content.charge(bytes.length - (upload.parts.get(partNumber)?.bytes.length ?? 0));
    const info: PartInfo = {
      partNumber,
      sizeBytes: bytes.length,
      etag: createHash("sha256").update(bytes).digest("hex").slice(0, 32),
    };
    upload.parts.set(partNumber, { info, bytes });
    return info;
  }

  listParts(which: MultipartUpload): PartInfo[] {
    return [...this.#find(which).parts.values()]
      .map(({ info }) => info)
      .sort((one, other) => one.partNumber - other.partNumber);
  }

  complete(which: MultipartUpload, parts: readonly PartInfo[], options: CompleteOptions): ObjectInfo {
    const upload = this.#find(which);
    const { partSizeBytes } = upload.options;
    const bytes: Buffer[] = [];
    for (const [index, part] of parts.entries()) {
      const found = upload.parts.get(part.partNumber);
      const misplaced =
        partSizeBytes === undefined
          ? part.partNumber <= (parts[index - 1]?.partNumber ?? 0)
          : part.partNumber !== index + 1 || (index < parts.length - 1 && found?.info.sizeBytes !== partSizeBytes);
      if (misplaced || found === undefined || found.info.etag !== part.etag) {
        throw new GfsError(
          "InvalidArgument",
          `Part ${part.partNumber} is missing, out of order, of the wrong size, or not the one that arrived.`,
        );
      }
      bytes.push(found.bytes);
    }
    const key = options.as ?? upload.key;
    checkObjectKey(key);
    const info = this.#content.put(
      key,
      Buffer.concat(bytes),
      { ...upload.options, metadata: { ...upload.options.metadata, ...options.metadata } },
      options,
    );
    this.forget(which.uploadId, info.sizeBytes);
    return info;
  }

  /** The room of its parts is given back, save what the object has of it. */
  forget(uploadId: string, keptBytes: number): void {
    const upload = this.#uploads.get(uploadId);
    for (const { bytes } of upload?.parts.values() ?? []) this.#content.charge(-bytes.length);
    this.#content.charge(keptBytes);
    this.#uploads.delete(uploadId);
  }

  async sweep(oldestKeptMs: number, isInUse: UploadCheck | undefined): Promise<number> {
    let removed = 0;
    for (const [uploadId, upload] of this.#uploads) {
      if (upload.createdMs > oldestKeptMs || (await isInUse?.(uploadId)) === true) continue;
      this.forget(uploadId, 0);
      removed += 1;
    }
    return removed;
  }

  clear(): void {
    this.#uploads.clear();
  }
}
