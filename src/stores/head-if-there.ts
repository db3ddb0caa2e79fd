import type { Ctx } from "../core/context.ts";
import { isGfsError } from "../core/errors.ts";
import type { ObjectInfo, Store } from "./store.ts";

/** Undefined when the store says that there is no such object; whatever else goes wrong is thrown. */
export async function headIfThere(ctx: Ctx, store: Store, key: string): Promise<ObjectInfo | undefined> {
  try {
    return await store.head(ctx, key);
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}
