import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { VersionId } from "../../core/ids.ts";
import { shownVersionId } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import { readObject } from "../reading/read.ts";
import type { CopyPart, CopySource, ObjectMeta, ObjectRead, OpenedRange, UploadedPart } from "../service/service.ts";
import { type UploadContext } from "./context.ts";
import { putPart } from "./put-part.ts";

const MAX_ATTEMPTS = 3;

/** The source's bytes go through here, since the part's MD5 has to be known: the ETag of the whole is made of it. */
export async function copyPart(
  context: UploadContext,
  ctx: Ctx,
  request: CopyPart,
): Promise<UploadedPart & { readonly sourceVersionId: string }> {
  const { from, range, key, uploadId, partNumber } = request;
  const { read, opened } = await openSource(context.kit, ctx, from, range);
  try {
    const part = await putPart(context, ctx, {
      key,
      uploadId,
      partNumber,
      sizeBytes: opened.end - opened.start,
      body: opened.stream,
    });
    return { ...part, sourceVersionId: shownId(read.meta) };
  } finally {
    opened.cancel();
  }
}

function shownId({ versionId, details }: ObjectMeta): string {
  return shownVersionId({ versionId: versionId as VersionId, versioned: details?.versioned === true });
}

/** A source whose conditions say that the caller has it already is not copied. */
export async function readSource(kit: Kit, ctx: Ctx, from: CopySource): Promise<ObjectRead> {
  const { key, versionId, conditions } = from;
  const read = await readObject(kit, ctx, key, {
    ...(versionId === undefined ? {} : { versionId }),
    ...(conditions === undefined ? {} : { conditions }),
  });
  if (!read.notModified) return read;
  throw new GfsError("PreconditionFailed", "The source is the object that the conditions rule out.", {
    op: "coordinator.copy",
  });
}

async function openSource(
  kit: Kit,
  ctx: Ctx,
  from: CopySource,
  range: CopyPart["range"],
): Promise<{ readonly read: ObjectRead; readonly opened: OpenedRange }> {
  for (let attempt = 1; ; attempt++) {
    const read = await readSource(kit, ctx, from);
    const end = range !== undefined && "start" in range ? range.end : undefined;
    if (end !== undefined && end > read.meta.sizeBytes) {
      throw new GfsError(
        "RangeNotSatisfiable",
        `The source has ${read.meta.sizeBytes} bytes, and the range ends at ${end}.`,
        {
          op: "coordinator.copy",
        },
      );
    }
    try {
      return { read, opened: await read.open(range) };
    } catch (error) {
      // It changed since it was looked up.
      if (!isGfsError(error, "Conflict") || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
