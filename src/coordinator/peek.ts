import { LRUCache } from "lru-cache";
import type { FilePath } from "../core/ids.ts";
import { findFile, isNameable } from "../namespace/index.ts";
import { describeFile } from "./object-meta.ts";
import type { Parts } from "./parts.ts";
import type { ObjectMeta } from "./service.ts";

/** Descriptions of the objects that are asked for most, each good for as long as the catalog has not changed at all. */
const REMEMBERED = 4_096;

interface Remembered {
  readonly revision: number;
  readonly meta: ObjectMeta;
}

export type Peek = (key: string) => { readonly meta: ObjectMeta; readonly bytes: Uint8Array } | undefined;

/** Reads that need neither a site nor a promise: a small object in the cache, in a catalog of this process. */
export function createPeek({ kv, cache }: Parts): Peek {
  const { viewSync, revisionSync } = kv;
  if (cache === undefined || viewSync === undefined || revisionSync === undefined) return () => undefined;
  const remembered = new LRUCache<string, Remembered>({ max: REMEMBERED });

  const describe = (key: string): ObjectMeta | undefined => {
    const revision = revisionSync();
    const known = remembered.get(key);
    if (known?.revision === revision) return known.meta;
    if (key.endsWith("/") || !isNameable(key)) return undefined;
    const file = viewSync((tx) => findFile(tx, key as FilePath));
    if (file?.version === undefined) return undefined;
    const meta = describeFile(key, file);
    remembered.set(key, { revision, meta });
    return meta;
  };

  return (key) => {
    const meta = describe(key);
    const bytes =
      meta === undefined
        ? undefined
        : cache.peekWhole(meta.versionId as Parameters<typeof cache.peekWhole>[0], meta.sizeBytes);
    return meta === undefined || bytes === undefined ? undefined : { meta, bytes };
  };
}
