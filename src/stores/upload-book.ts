import { LRUCache } from "lru-cache";

/**
 * Which uploads in parts at a site GlobalFS began itself. Where a site tells only key, id and time of an upload, as S3 does, those of other tools in a shared
 * bucket look the same; what is not in the book is none of ours and left alone, however old it is.
 */
export interface UploadBook {
  /** Resolves once it is written down; until then no part is sent. */
  begun(uploadId: string): Promise<void>;
  /** Completed or aborted. An upload that nobody tells the end of stays ours until a sweep takes it. */
  ended(uploadId: string): Promise<void>;
  isOurs(uploadId: string): Promise<boolean>;
  /** Of uploads that began so long ago nobody waits for anything. */
  forgetBefore(beforeMs: number): Promise<void>;
}

const REMEMBERED = 10_000;

/** For a store that no catalog stands behind: what another process, or this one before its last start, left behind stays where it is. */
export function createMemoryUploadBook(): UploadBook {
  const ours = new LRUCache<string, true>({ max: REMEMBERED });
  return {
    begun: async (uploadId) => void ours.set(uploadId, true),
    ended: async (uploadId) => void ours.delete(uploadId),
    isOurs: async (uploadId) => ours.has(uploadId),
    forgetBefore: async () => undefined,
  };
}
