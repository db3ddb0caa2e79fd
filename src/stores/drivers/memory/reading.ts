import { throwIfAborted, type Ctx } from "../../../core/context.ts";
import { spanOf } from "../../byte-range.ts";
import { checkReadCondition } from "../../conditions.ts";
import type { GetOptions, ObjectBody } from "../../store.ts";
import type { StoredObject } from "./content.ts";

const PIECE_BYTES = 256 * 1024;

export function openBody(ctx: Ctx, { info, bytes }: StoredObject, options: GetOptions | undefined): ObjectBody {
  checkReadCondition(options?.ifMatch, info);
  const { start, end } = spanOf(options?.range, info.sizeBytes);
  return { info, start, end, stream: pieces(ctx, bytes.subarray(start, end)), cancel: () => undefined };
}

async function* pieces(ctx: Ctx, bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES) {
    throwIfAborted(ctx, "store.get");
    yield bytes.subarray(offset, Math.min(offset + PIECE_BYTES, bytes.length));
  }
}
