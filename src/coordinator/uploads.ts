import type { Ctx } from "../core/context.ts";
import { copyObject } from "./copy-object.ts";
import type { Parts } from "./parts.ts";
import type { UploadService } from "./service.ts";
import { collectUploads } from "./uploads/collect.ts";
import { abortUpload, completeUpload } from "./uploads/complete.ts";
import { createUploadContext } from "./uploads/context.ts";
import { copyPart } from "./uploads/copy-part.ts";
import { createUpload, findUploadOf, listParts, listUploads } from "./uploads/open.ts";
import { putPart } from "./uploads/put-part.ts";

export interface Uploads {
  readonly service: UploadService;
  /** The leader's turn. */
  collect(ctx: Ctx): Promise<void>;
}

export function createUploads(parts: Parts): Uploads {
  const context = createUploadContext(parts);
  return {
    service: {
      createUpload: async (ctx, request) => await createUpload(context, ctx, request),
      findUpload: async (_ctx, place) => await findUploadOf(context, place),
      putPart: async (ctx, request) => await putPart(context, ctx, request),
      copyPart: async (ctx, request) => await copyPart(context, ctx, request),
      listParts: async (_ctx, request) => await listParts(context, request),
      listUploads: async (_ctx, request) => await listUploads(context, request),
      completeUpload: async (ctx, request) => await completeUpload(context, ctx, request),
      abortUpload: async (_ctx, place) => await abortUpload(context, place),
      copyObject: async (ctx, request) => await copyObject(parts, ctx, request),
    },
    collect: async (ctx) => await collectUploads(context, ctx),
  };
}
