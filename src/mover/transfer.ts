import { createProof } from "./proof.ts";
import type { Semaphore } from "../core/async/semaphore.ts";
import type { TokenBucket } from "../core/async/token-bucket.ts";
import { throwIfAborted, type Ctx } from "../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";
import type { FileVersion } from "../namespace/index.ts";
import type {
  MultipartUpload,
  ObjectInfo,
  PartInfo,
  Site,
  StagedWrite,
  WriteAttributes,
  WriteConditions,
} from "../stores/index.ts";

/** Brings the bytes of one version from one site to another: in one piece when they are few, in parts that survive a restart when they are many. */

export interface Source {
  readonly site: Site;
  readonly key: string;
  readonly etag?: string;
}

export interface Transfer {
  readonly version: FileVersion;
  readonly source: Source;
  readonly target: Site;
  readonly key: string;
  readonly attributes: WriteAttributes;
  readonly chunkBytes: number;
  /** Bytes of parts in memory, over all transfers. */
  readonly budget: Semaphore;
  readonly limit: TokenBucket | undefined;
  readonly onBytes: (sizeBytes: number) => void;
  /** It was the source that failed, so another one may do better. */
  readonly onSourceFailure: () => void;
  /** From an earlier attempt. */
  readonly upload: { readonly uploadId: string; readonly partSizeBytes: number } | undefined;
  readonly onUpload: (upload: { readonly uploadId: string; readonly partSizeBytes: number }) => Promise<void>;
}

/** The bytes are at the target; nothing shows them yet. */
export interface Ready {
  /** Parts of it arrived in an earlier attempt: the checksum over what was read this time says nothing of them. */
  readonly unproven: boolean;
  /** When it fails, what another attempt cannot use is gone from the target. */
  commit(ctx: Ctx, conditions: WriteConditions): Promise<ObjectInfo>;
  abort(): Promise<void>;
}

const PARALLEL_PARTS = 4;
/** After these the parts that have arrived are still good. */
const INTERRUPTIONS = ["Unavailable", "Timeout", "Overloaded", "Conflict", "Canceled"] as const;

export async function transfer(ctx: Ctx, work: Transfer): Promise<Ready> {
  const { multipart } = work.target.store.capabilities;
  if (multipart === undefined || work.version.sizeBytes <= work.chunkBytes) return await inOnePiece(ctx, work);
  return await inParts(ctx, work, multipart);
}

async function* checkedBytes(ctx: Ctx, work: Transfer): AsyncGenerator<Uint8Array> {
  try {
    yield* sourceBytes(ctx, work);
  } catch (error) {
    work.onSourceFailure();
    throw error;
  }
}

/** The source's bytes in order, counted, paced and hashed. Ends with an error when they are not the version's. */
async function* sourceBytes(ctx: Ctx, { version, source, limit, onBytes }: Transfer): AsyncGenerator<Uint8Array> {
  const body = await source.site.store.get(ctx, source.key, {
    checkedByCaller: version.sha256 !== undefined,
    ...(source.etag === undefined ? {} : { ifMatch: source.etag }),
  });
  if (body.info.sizeBytes !== version.sizeBytes) {
    body.cancel();
    throw new GfsError("PreconditionFailed", `Site ${source.site.name} holds another size than the catalog says.`);
  }
  const proof = createProof(version);
  let sizeBytes = 0;
  for await (const chunk of body.stream) {
    throwIfAborted(ctx, "mover.transfer");
    await limit?.take(chunk.byteLength, ctx.signal);
    proof?.update(chunk);
    sizeBytes += chunk.byteLength;
    onBytes(chunk.byteLength);
    yield chunk;
  }
  if (sizeBytes !== version.sizeBytes)
    throw new GfsError("Unavailable", `Site ${source.site.name} ended the object early.`);
  if (proof?.holds() === false) {
    throw new GfsError("DataCorrupt", `Site ${source.site.name} gave other bytes than the version's checksum says.`);
  }
}

async function inOnePiece(ctx: Ctx, work: Transfer): Promise<Ready> {
  const { version, target, key, attributes } = work;
  const staged: StagedWrite = await target.store.stage(ctx, key, { ...attributes, sizeBytes: version.sizeBytes });
  try {
    for await (const chunk of checkedBytes(ctx, work)) await staged.write(chunk);
    await staged.seal(version.sha256 === undefined ? {} : { sha256: version.sha256 });
  } catch (error) {
    await quietly(() => staged.abort());
    throw error;
  }
  return {
    unproven: false,
    async commit(commitCtx, conditions) {
      try {
        return await staged.commit(commitCtx, conditions);
      } catch (error) {
        await quietly(() => staged.abort());
        throw error;
      }
    },
    abort: async () => await staged.abort(),
  };
}

async function inParts(
  ctx: Ctx,
  work: Transfer,
  limits: { readonly minPartBytes: number; readonly maxParts: number },
): Promise<Ready> {
  const { store } = work.target;
  const { upload, partSizeBytes, arrived } = await openUpload(ctx, work, limits);
  const parts = new Map(arrived.map((part) => [part.partNumber, part]));
  const sending = new Set<Promise<void>>();
  let failure: unknown;
  const send = (partNumber: number, bytes: Buffer, release: () => void): void => {
    const body = {
      sizeBytes: bytes.length,
      async *open() {
        yield bytes;
      },
    };
    const task = store
      .uploadPart(ctx, upload, partNumber, body)
      .then((part) => void parts.set(partNumber, part))
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        release();
        sending.delete(task);
      });
    sending.add(task);
  };
  try {
    // Parts that have arrived are read and hashed once more, and not sent: only so the sum covers the whole.
    let partNumber = 0;
    for await (const { bytes, release } of cutParts(ctx, work, partSizeBytes)) {
      partNumber += 1;
      if (parts.get(partNumber)?.sizeBytes === bytes.length) release();
      else send(partNumber, bytes, release);
      if (failure !== undefined) throw failure;
      if (sending.size >= PARALLEL_PARTS) await Promise.race(sending);
    }
    await Promise.all(sending);
    if (failure !== undefined) throw failure;
  } catch (error) {
    await Promise.all(sending);
    // A checksum that does not hold means that parts of other bytes may have arrived.
    if (isGfsError(error, "DataCorrupt", "PreconditionFailed")) await quietly(() => store.abortMultipart(ctx, upload));
    throw error;
  }
  const ordered = [...parts.values()].sort((one, other) => one.partNumber - other.partNumber);
  return {
    unproven: arrived.length > 0,
    async commit(commitCtx, conditions) {
      try {
        return await store.completeMultipart(commitCtx, upload, ordered, conditions);
      } catch (error) {
        if (!isGfsError(toGfsError(error), ...INTERRUPTIONS))
          await quietly(() => store.abortMultipart(commitCtx, upload));
        throw error;
      }
    },
    abort: async () => await store.abortMultipart(ctx, upload),
  };
}

/** What cannot be cleaned up now, the site's sweep finds; the failure that led here is the one to tell. */
async function quietly(cleanUp: () => Promise<void>): Promise<void> {
  await cleanUp().catch(() => undefined);
}

interface OpenUpload {
  readonly upload: MultipartUpload;
  readonly partSizeBytes: number;
  readonly arrived: readonly PartInfo[];
}

async function openUpload(
  ctx: Ctx,
  work: Transfer,
  limits: { readonly minPartBytes: number; readonly maxParts: number },
): Promise<OpenUpload> {
  const { store } = work.target;
  if (work.upload !== undefined) {
    const upload = { key: work.key, uploadId: work.upload.uploadId };
    try {
      return { upload, partSizeBytes: work.upload.partSizeBytes, arrived: await store.listParts(ctx, upload) };
    } catch (error) {
      if (!isGfsError(error, "NotFound")) throw error;
    }
  }
  const partSizeBytes = Math.max(
    work.chunkBytes,
    limits.minPartBytes,
    Math.ceil(work.version.sizeBytes / limits.maxParts),
  );
  const upload = await store.createMultipart(ctx, work.key, {
    ...work.attributes,
    partSizeBytes,
    ...(work.version.sha256 === undefined ? {} : { sha256: work.version.sha256 }),
  });
  await work.onUpload({ uploadId: upload.uploadId, partSizeBytes });
  return { upload, partSizeBytes, arrived: [] };
}

interface CutPart {
  readonly bytes: Buffer;
  readonly release: () => void;
}

/** Parts in memory count against the shared budget until they are sent. */
async function* cutParts(ctx: Ctx, work: Transfer, partSizeBytes: number): AsyncGenerator<CutPart> {
  let left = work.version.sizeBytes;
  let release: (() => void) | undefined;
  let bytes = Buffer.alloc(0);
  let filled = 0;
  try {
    for await (const chunk of checkedBytes(ctx, work)) {
      for (let taken = 0; taken < chunk.byteLength;) {
        if (release === undefined) {
          const size = Math.min(partSizeBytes, left);
          release = await work.budget.acquire(size, ctx.signal);
          bytes = Buffer.allocUnsafeSlow(size);
          filled = 0;
        }
        const count = Math.min(chunk.byteLength - taken, bytes.length - filled);
        bytes.set(chunk.subarray(taken, taken + count), filled);
        taken += count;
        filled += count;
        left -= count;
        // The last part waits for the verdict on the whole.
        if (filled < bytes.length || left === 0) continue;
        const full = { bytes, release };
        release = undefined;
        yield full;
      }
    }
    if (release !== undefined) {
      const last = { bytes, release };
      release = undefined;
      yield last;
    }
  } finally {
    release?.();
  }
}
