import { createHash, randomBytes } from "node:crypto";
import type { PutPart, PutResult, Upload, UploadedPart } from "../../src/coordinator/service/service.ts";
import { chunksOf, type Rig, rigCtx } from "../../src/coordinator/testing/rig.ts";

/** The steps that every test of an upload in parts takes. */

export const MIB = 1024 ** 2;

export function bytesOf(sizeBytes: number): Buffer {
  return randomBytes(sizeBytes);
}

export function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

export function multipartEtag(bodies: readonly Uint8Array[]): string {
  const whole = createHash("md5");
  for (const body of bodies) whole.update(createHash("md5").update(body).digest());
  return `${whole.digest("hex")}-${bodies.length}`;
}

export async function sendPart(
  { coordinator }: Rig,
  { key, uploadId }: Upload,
  partNumber: number,
  body: Uint8Array,
  more: Partial<PutPart> = {},
): Promise<UploadedPart> {
  return await coordinator.putPart(rigCtx, {
    key,
    uploadId,
    partNumber,
    sizeBytes: body.byteLength,
    body: chunksOf(body),
    ...more,
  });
}

export async function complete(
  { coordinator }: Rig,
  { key, uploadId }: Upload,
  parts: readonly UploadedPart[],
  more: Partial<Parameters<Rig["coordinator"]["completeUpload"]>[1]> = {},
): Promise<PutResult> {
  return await coordinator.completeUpload(rigCtx, {
    key,
    uploadId,
    parts: parts.map(({ partNumber, etag }) => ({ partNumber, etag })),
    ...more,
  });
}

export async function s3CodeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => {
      const { code, context } = error as { code: string; context?: Record<string, unknown> };
      return (context?.["s3"] as string | undefined) ?? code;
    },
  );
}
