import type { Client, ObjectInfo } from "@globalfs/client";

export async function findObject(client: Client, key: string, signal: AbortSignal): Promise<ObjectInfo | undefined> {
  try {
    return await client.head(key, { signal });
  } catch (error) {
    if ((error as { code?: unknown }).code === "NotFound") return undefined;
    throw error;
  }
}
