import { type Ctx } from "../../../core/context.ts";
import { fromErrno, GfsError } from "../../../core/errors.ts";
import type { ObjectInfo, WriteAttributes, WriteConditions } from "../../store.ts";
import { existsAt, findInfo, openObject } from "./reading.ts";
import { sealFile, type StagingPlace } from "./writing.ts";

export interface CopyPlan {
  readonly from: string;
  readonly to: string;
  readonly options: WriteAttributes & WriteConditions & { readonly sourceIfMatch?: string };
}

/** The bytes are shared with the source where the file system can do that. */
export async function copyObject(place: StagingPlace, ctx: Ctx, { from, to, options }: CopyPlan): Promise<ObjectInfo> {
  const { disk, layout } = place;
  const source = await openObject(disk, layout, from);
  await source.file.close();
  if (options.sourceIfMatch !== undefined && options.sourceIfMatch !== source.info.etag) {
    throw new GfsError("PreconditionFailed", "The source is another object by now.", { op: "store.copy" });
  }
  const { contentType, metadata, ifMatch, ifNoneMatch } = options;
  const path = `${layout.staging}/copy-${process.pid}-${Math.random().toString(36).slice(2)}`;
  try {
    await copyBytes(place, from, path);
    const file = await disk.open(path, "update");
    let sealed: ObjectInfo;
    try {
      const sizeBytes = (await file.stat()).sizeBytes;
      // Between the look and the copy the source may have been replaced.
      const now = await findInfo(disk, layout, from);
      if (now?.etag !== source.info.etag || sizeBytes !== source.info.sizeBytes) {
        throw new GfsError("Conflict", `${from} changed while it was copied; try again.`, { op: "store.copy" });
      }
      sealed = await sealFile(place, to, file, {
        sha256: source.info.sha256,
        contentType: contentType ?? source.info.contentType,
        metadata: metadata ?? source.info.metadata,
      });
    } finally {
      await file.close();
    }
    return await place.publish(
      ctx,
      { path, info: sealed },
      {
        ...(ifMatch === undefined ? {} : { ifMatch }),
        ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
      },
    );
  } catch (error) {
    await disk.unlink(path).catch(() => undefined);
    throw fromErrno(error, "store.copy", { from, to });
  }
}

async function copyBytes({ disk, layout }: StagingPlace, from: string, path: string): Promise<void> {
  const { plain, beside } = layout.pathsOf(from);
  if (beside !== undefined && (await existsAt(disk, plain)) !== "file") await disk.copy(beside, path);
  else await disk.copy(plain, path);
}
