import type { Kv } from "../../../kv/index.ts";

/** Beside the process that owns it, if one runs. */
export async function openToRead(directory: string): Promise<Kv> {
  const { openLmdbReader } = await import("../../../kv/index.ts");
  return await openLmdbReader(directory);
}
