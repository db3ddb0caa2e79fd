import type { Ctx } from "../../core/context.ts";
import { isGfsError, toGfsError } from "../../core/errors.ts";
import { blocksOf, type FileVersion } from "../../namespace/index.ts";
import { type ByteRange, type Span, spanOf } from "../../stores/index.ts";
import { readIsNotModified } from "../objects/conditions.ts";
import { getRecord, getVersion, locate } from "../foreign/lookup.ts";
import { describeFile } from "../objects/object-meta.ts";
import { openFromCopies } from "./open-copies.ts";
import type { Kit } from "../kit.ts";
import type { ObjectMeta, ObjectRead, OpenedRange, ReadOptions } from "../service/service.ts";
import type { Wanted } from "../copies/wanted.ts";

export async function headObject(
  kit: Kit,
  ctx: Ctx,
  key: string,
  { conditions, versionId }: ReadOptions = {},
): Promise<{ readonly meta: ObjectMeta; readonly notModified: boolean }> {
  const where = locate(key);
  const record =
    versionId === undefined ? await getRecord(kit, ctx, where) : await getVersion(kit, ctx, where, versionId);
  const meta = describeFile(where.key, record);
  return { meta, notModified: readIsNotModified(conditions, meta) };
}

export async function readObject(
  kit: Kit,
  ctx: Ctx,
  key: string,
  { conditions, versionId }: ReadOptions = {},
): Promise<ObjectRead> {
  const where = locate(key);
  const record =
    versionId === undefined ? await getRecord(kit, ctx, where) : await getVersion(kit, ctx, where, versionId);
  const meta = describeFile(where.key, record);
  const { inode, version } = record;
  const blocks = version === undefined ? undefined : blocksOf(version);
  const holder = record.linkCount === 0 ? { holder: inode } : {};
  return {
    meta,
    notModified: readIsNotModified(conditions, meta),
    ...(blocks === undefined ? {} : { blocks }),
    open: async (range) => await openContent(kit, ctx, { path: where.path, inode, version, ...holder }, range),
  };
}

export type Content = Pick<Wanted, "path" | "inode" | "holder"> & { readonly version: FileVersion | undefined };

/** One range of it; undefined: all. */
export async function openContent(
  kit: Kit,
  ctx: Ctx,
  { version, ...from }: Content,
  range: ByteRange | undefined,
): Promise<OpenedRange> {
  const span = spanOf(range, version?.sizeBytes ?? 0);
  if (version?.sizeBytes === 0) await lookForReplacement(kit, ctx, { ...from, version, span });
  if (version === undefined || span.start === span.end) return nothing(span);
  return await openVersion(kit, ctx, { ...from, version, span });
}

/** No bytes of an empty object ever come from a site; one that has taken its place there is found only by asking. */
async function lookForReplacement(kit: Kit, ctx: Ctx, wanted: Wanted): Promise<void> {
  try {
    (await openFromCopies(kit, ctx, wanted)).cancel();
  } catch (error) {
    if (isGfsError(error, "Conflict", "Canceled")) throw error;
    kit.log.debug("empty_object_not_checked", { path: wanted.path, error: toGfsError(error).message });
  }
}

function nothing(span: Span): OpenedRange {
  return { ...span, stream: emptyStream(), bytes: EMPTY, cancel: () => undefined, source: "catalog" };
}

const EMPTY = new Uint8Array(0);

async function* emptyStream(): AsyncGenerator<Uint8Array> {}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function openVersion(kit: Kit, ctx: Ctx, wanted: Wanted): Promise<OpenedRange> {
  const { cache } = kit;
  const { version, span } = wanted;
  if (cache === undefined || !cache.admits(version.sizeBytes)) return await openFromCopies(kit, ctx, wanted);
  const whole = cache.peekWhole(version.id, version.sizeBytes);
  if (whole !== undefined) {
    const bytes = whole.subarray(span.start, span.end);
    return { ...span, stream: oneChunk(bytes), bytes, cancel: () => undefined, source: "cache" };
  }
  const opening = cache.open(ctx, {
    versionId: version.id,
    sizeBytes: version.sizeBytes,
    ...span,
    fetch: async (fetchCtx) =>
      await openFromCopies(kit, fetchCtx, { ...wanted, span: { start: 0, end: version.sizeBytes } }),
  });
  if (opening === undefined) return await openFromCopies(kit, ctx, wanted);
  const opened = await opening;
  return { ...span, stream: opened.stream, cancel: opened.cancel, source: opened.source };
}
