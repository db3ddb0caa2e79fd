import type { Client, DeleteResult } from "@globalfs/client";
import { absenceOf } from "../absent.ts";

/** Deletes one object, and fails when there is none. */
export async function removeObject(client: Client, key: string, signal: AbortSignal): Promise<DeleteResult> {
  const result = await client.delete(key, { signal });
  if (!result.deleted) throw await absenceOf(client, key, { signal, forDirectories: "globalfs rm -r" });
  return result;
}
