import { type Ctx } from "../../../core/context.ts";
import { fromErrno, GfsError } from "../../../core/errors.ts";
import type { DiskFile } from "../../../core/ports/disk.ts";
import type { CopyOptions, ObjectInfo } from "../../store.ts";
import { ABSENT, errnoOf } from "./failures.ts";
import { instanceOf } from "./intake/instance.ts";
import { ATTRIBUTE, describeObject, encodeRecord, type ObjectRecord } from "./object-record.ts";
import { existsAt, findInfo, openAt, openObject } from "./reading.ts";
import { sealFile, type SealedFile, type StagingPlace } from "./writing.ts";

export interface CopyPlan {
  readonly from: string;
  readonly to: string;
  readonly options: CopyOptions;
}

/** The bytes are shared with the source where the file system can do that, and the very file where the caller allows it. */
export async function copyObject(place: StagingPlace, ctx: Ctx, plan: CopyPlan): Promise<ObjectInfo> {
  const { disk, layout } = place;
  const { from, to, options } = plan;
  const { ifMatch, ifNoneMatch } = options;
  const path = `${layout.staging}/copy-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const flushedLater = options.durability === "visible";
  try {
    // It is the very file that gets the name, whatever has the source's name by the time that it is looked at.
    const linked = options.mayShare === true ? await linkObject(place, from, path) : undefined;
    const shared = linked !== undefined;
    const source = linked ?? (await lookAt(place, from));
    if (options.sourceIfMatch !== undefined && options.sourceIfMatch !== source.etag) {
      throw new GfsError("PreconditionFailed", "The source is another object by now.", { op: "store.copy" });
    }
    const sealed = shared
      ? await describeShared(place, path, { to, source, options })
      : await sealCopy(place, path, { to, source, options });
    const info = await place.publish(
      ctx,
      { path, ...sealed, flushedLater },
      {
        ...(ifMatch === undefined ? {} : { ifMatch }),
        ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
      },
    );
    // rename(2) does nothing where both names are the same file already. Where another one lay, or none, they are not.
    const another = ifMatch === undefined ? ifNoneMatch !== undefined : ifMatch !== source.etag;
    if (shared && !another) await disk.unlink(path).catch(() => undefined);
    return info;
  } catch (error) {
    await disk.unlink(path).catch(() => undefined);
    throw fromErrno(error, "store.copy", { from, to });
  }
}

async function lookAt({ disk, layout }: StagingPlace, key: string): Promise<ObjectInfo> {
  const { file, info } = await openObject(disk, layout, key);
  await file.close();
  return info;
}

function attributesOf(source: ObjectInfo, { contentType, metadata }: CopyOptions) {
  return { contentType: contentType ?? source.contentType, metadata: metadata ?? source.metadata };
}

interface Described {
  readonly to: string;
  readonly source: ObjectInfo;
  readonly options: CopyOptions;
}

async function sealCopy(
  place: StagingPlace,
  path: string,
  { to, source, options }: Described,
): Promise<Omit<SealedFile, "path">> {
  const { disk, layout } = place;
  await disk.copy(await placeOf(place, source.key), path);
  const file = await disk.open(path, "update");
  try {
    const { sizeBytes } = await file.stat();
    // Between the look and the copy the source may have been replaced.
    const now = await findInfo(disk, layout, source.key);
    if (now?.etag !== source.etag || sizeBytes !== source.sizeBytes) throw changed(source.key);
    const isNoted = options.durability !== "visible" && place.notes(sizeBytes);
    const bytes = isNoted ? await readWhole(file, sizeBytes) : undefined;
    return await sealFile(place, to, file, { sha256: source.sha256, ...attributesOf(source, options), bytes });
  } finally {
    await file.close();
  }
}

function changed(key: string): GfsError {
  return new GfsError("Conflict", `${key} changed while it was copied; try again.`, { op: "store.copy" });
}

async function describeShared(
  place: StagingPlace,
  path: string,
  described: Described,
): Promise<Omit<SealedFile, "path">> {
  const { to, source, options } = described;
  const isSaid = !place.keepsAttributes() || saysAlready(source, options);
  const isVisible = options.durability === "visible";
  // No record speaks of its new place: a file that gets it must not be torn.
  if (isVisible && place.isNoted(source.key)) await place.flushNoted(source.key);
  const isNoted = !isVisible && (place.notes(source.sizeBytes) || place.isNoted(source.key));
  if (isSaid && !isNoted) return { info: { ...source, key: to } };
  const file = await place.disk.open(path, "update");
  try {
    const bytes = isNoted && place.notes(source.sizeBytes) ? await readWhole(file, source.sizeBytes) : undefined;
    return await describeAnew(place, file, { ...described, bytes });
  } finally {
    await file.close();
  }
}

function saysAlready(source: ObjectInfo, options: CopyOptions): boolean {
  const { contentType, metadata } = attributesOf(source, options);
  return contentType === source.contentType && isSame(metadata, source.metadata);
}

/** Undefined: it has another length by now. */
async function readWhole(file: DiskFile, sizeBytes: number): Promise<Uint8Array | undefined> {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  return (await file.read(bytes, 0)) === sizeBytes ? bytes : undefined;
}

/** The file has both names, so that what is said of it holds for both; the content, and what it is called, stay. */
async function describeAnew(
  place: StagingPlace,
  file: DiskFile,
  { to, source, options, bytes }: Described & { readonly bytes: Uint8Array | undefined },
): Promise<Omit<SealedFile, "path">> {
  const stat = await file.stat();
  const { contentType, metadata } = attributesOf(source, options);
  const before = place.keepsAttributes() ? await file.getAttribute(ATTRIBUTE) : undefined;
  const isSaid = saysAlready(source, options);
  if (!place.keepsAttributes() || (isSaid && (before === undefined || bytes === undefined))) {
    if (place.isNoted(source.key)) await file.sync();
    return { info: { ...source, key: to } };
  }
  const record: ObjectRecord = {
    etag: source.etag,
    metadata,
    sizeBytes: stat.sizeBytes,
    modifiedNs: stat.modifiedNs,
    ...(source.sha256 === undefined ? {} : { sha256: source.sha256 }),
    ...(contentType === undefined ? {} : { contentType }),
  };
  const attribute = isSaid && before !== undefined ? before : encodeRecord(record);
  if (attribute !== before) await file.setAttribute(ATTRIBUTE, attribute);
  const info = describeObject(to, stat, record);
  if (bytes !== undefined)
    return { info, small: { file: instanceOf(stat), modifiedNs: stat.modifiedNs, attribute, bytes } };
  if (options.durability !== "visible") await file.sync();
  return { info };
}

function isSame(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/** File systems that know no second names, or no more of them, get a copy. */
const NO_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK", "ENOSYS", "EACCES"]);

/** Undefined: no object got the name, since there is none, or for one of these reasons. */
async function linkObject(place: StagingPlace, from: string, path: string): Promise<ObjectInfo | undefined> {
  const { disk, layout } = place;
  const { plain, beside } = layout.pathsOf(from);
  for (const name of beside === undefined ? [plain] : [plain, beside]) {
    try {
      await disk.link(name, path);
    } catch (error) {
      const errno = errnoOf(error) ?? "";
      // A directory may have the plain name, and is told of in the same way.
      if (!ABSENT.has(errno) && !NO_LINKS.has(errno)) throw error;
      continue;
    }
    const linked = await openAt(disk, from, path);
    await linked?.file.close();
    if (linked !== undefined) return linked.info;
    await disk.unlink(path);
  }
  return undefined;
}

async function placeOf({ disk, layout }: StagingPlace, key: string): Promise<string> {
  const { plain, beside } = layout.pathsOf(key);
  return beside !== undefined && (await existsAt(disk, plain)) !== "file" ? beside : plain;
}
