import { PieceShare } from "../../../core/async/piece-share.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import { fromErrno, GfsError, isGfsError } from "../../../core/errors.ts";
import type { Ctx } from "../../../core/context.ts";
import { throwIfAborted } from "../../../core/context.ts";
import { spanOf } from "../../byte-range.ts";
import { checkReadCondition } from "../../conditions.ts";
import type { GetOptions, ObjectBody, ObjectInfo } from "../../store.ts";
import { ABSENT, errnoOf } from "./failures.ts";
import type { Layout } from "./layout.ts";
import { ATTRIBUTE, decodeRecord, describeObject } from "./object-record.ts";

/** Small reads are taken at once, so that nobody has to remember to close anything; large ones come in pieces of this size. */
const AT_ONCE_BYTES = 64 * 1024;
const pieces = new PieceShare({ totalBytes: 4 * 1024 ** 2, leastBytes: 64 * 1024, mostBytes: 256 * 1024 });

export interface OpenObject {
  readonly file: DiskFile;
  readonly info: ObjectInfo;
}

/** What is read of a file, its attributes included, comes from one descriptor: a replacement in between is never mixed in. */
export async function openObject(disk: Disk, layout: Layout, key: string): Promise<OpenObject> {
  const paths = layout.pathsOf(key);
  const found =
    (await openAt(disk, key, paths.plain)) ??
    (paths.beside === undefined ? undefined : await openAt(disk, key, paths.beside));
  // A write may have moved it from one name to the other between the two looks.
  const again = found ?? (paths.beside === undefined ? undefined : await openAt(disk, key, paths.plain));
  if (again !== undefined) return again;
  await layout.assertMounted("store.get");
  throw new GfsError("NotFound", `There is no object ${key}.`, { op: "store.get" });
}

/** Undefined: there is no file of that name. */
export async function openAt(disk: Disk, key: string, path: string): Promise<OpenObject | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(path, "read");
  } catch (error) {
    if (ABSENT.has(errnoOf(error) ?? "")) return undefined;
    throw fromErrno(error, "store.get", { key });
  }
  try {
    const stat = await file.stat();
    if (stat.kind !== "file") {
      await file.close();
      return undefined;
    }
    return { file, info: describeObject(key, stat, decodeRecord(await file.getAttribute(ATTRIBUTE), stat)) };
  } catch (error) {
    await file.close();
    throw fromErrno(error, "store.get", { key });
  }
}

export async function findInfo(disk: Disk, layout: Layout, key: string): Promise<ObjectInfo | undefined> {
  try {
    const { file, info } = await openObject(disk, layout, key);
    await file.close();
    return info;
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}

export async function openBody(ctx: Ctx, open: OpenObject, options: GetOptions | undefined): Promise<ObjectBody> {
  const { file, info } = open;
  try {
    throwIfAborted(ctx, "store.get");
    checkReadCondition(options?.ifMatch, info);
    const { start, end } = spanOf(options?.range, info.sizeBytes);
    if (end - start <= AT_ONCE_BYTES) {
      const bytes = Buffer.allocUnsafe(end - start);
      await readFully(file, bytes, start, info);
      await file.close();
      return { info, start, end, stream: once(bytes), cancel: () => undefined };
    }
    return streamedBody(ctx, { file, info }, start, end);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw fromErrno(error, "store.get", { key: info.key });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}

async function readFully(file: DiskFile, buffer: Uint8Array, position: number, info: ObjectInfo): Promise<void> {
  const length = await file.read(buffer, position);
  if (length === buffer.byteLength) return;
  throw new GfsError("DataCorrupt", `The file of ${info.key} became shorter while it was read.`, { op: "store.get" });
}

function streamedBody(ctx: Ctx, { file, info }: OpenObject, start: number, end: number): ObjectBody {
  let canceled = false;
  let closing: Promise<void> | undefined;
  let reading: Promise<unknown> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      // Closing under a read would hand its descriptor to somebody else.
      await reading?.catch(() => undefined);
      await file.close();
    })();
    return closing;
  };
  const cancel = (): void => {
    canceled = true;
    close().catch(() => undefined);
  };
  return { info, start, end, stream: read(), cancel };

  async function* read(): AsyncGenerator<Uint8Array> {
    const take = (position: number): Promise<Buffer> => {
      const buffer = pieces.lend(Math.min(pieces.pieceBytes, end - position));
      const work = readFully(file, buffer, position, info).then(() => buffer);
      reading = work;
      work.catch(() => undefined);
      return work;
    };
    const leave = pieces.enter();
    try {
      let next = take(start);
      for (let position = start; position < end;) {
        if (canceled || ctx.signal.aborted)
          throw new GfsError("Canceled", "The read was canceled.", { op: "store.get" });
        const piece = await next;
        position += piece.byteLength;
        // The disk works on the next piece while the caller takes this one.
        if (position < end) next = take(position);
        yield piece;
      }
    } catch (error) {
      throw fromErrno(error, "store.get", { key: info.key });
    } finally {
      leave();
      await close();
    }
  }
}

export async function existsAt(disk: Disk, path: string): Promise<"file" | "directory" | "other" | "absent"> {
  try {
    return (await disk.stat(path)).kind;
  } catch (error) {
    if (ABSENT.has(errnoOf(error) ?? "")) return "absent";
    throw error;
  }
}
