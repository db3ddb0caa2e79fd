import type { Ctx } from "../../core/context.ts";
import { copyObject } from "./copy-object.ts";
import type { Kit } from "../kit.ts";
import type { UploadService } from "../service/service.ts";
import { collectUploads } from "./collect.ts";
import { abortUpload, completeUpload } from "./complete.ts";
import { createUploadContext } from "./context.ts";
import { copyPart } from "./copy-part.ts";
import { createUpload, findUploadOf, listParts, listUploads } from "./open.ts";
import { putPart } from "./put-part.ts";

export interface Uploads {
  readonly service: UploadService;
  /** The leader's turn. */
  collect(ctx: Ctx): Promise<void>;
}

export function createUploads(kit: Kit): Uploads {
  const context = createUploadContext(kit);
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
      copyObject: async (ctx, request) => await copyObject(kit, ctx, request),
    },
    collect: async (ctx) => await collectUploads(context, ctx),
  };
}
