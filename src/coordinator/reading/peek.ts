import { LRUCache } from "lru-cache";
import type { FilePath } from "../../core/ids.ts";
import { type ContentRow, findContentRow, isNameable, readContentRow } from "../../namespace/index.ts";
import { describeVersion } from "../objects/object-meta.ts";
import type { Kit } from "../kit.ts";
import type { ObjectMeta } from "../service/service.ts";

/**
 * Descriptions of the objects that are asked for most. While the catalog has not changed at all nothing is read for one; after a commit somewhere
 * the row of the file's content is found and compared, and while it is the same nothing is made anew.
 */
const REMEMBERED = 4_096;

interface Remembered {
  revision: number;
  readonly found: ContentRow;
  readonly meta: ObjectMeta;
}

export type Peek = (key: string) => { readonly meta: ObjectMeta; readonly bytes: Uint8Array } | undefined;

/** Reads that need neither a site nor a promise: a small object in the cache, in a catalog of this process. */
export function createPeek({ kv, cache }: Kit): Peek {
  const { viewSync, revisionSync } = kv;
  if (cache === undefined || viewSync === undefined || revisionSync === undefined) return () => undefined;
  const remembered = new LRUCache<string, Remembered>({ max: REMEMBERED });

  const describe = (key: string): ObjectMeta | undefined => {
    const revision = revisionSync();
    const known = remembered.get(key);
    if (known?.revision === revision) return known.meta;
    if (key.endsWith("/") || !isNameable(key)) return undefined;
    const found = viewSync((tx) => findContentRow(tx, key as FilePath));
    if (found === undefined) return undefined;
    if (known !== undefined && isSame(known.found, found)) {
      known.revision = revision;
      return known.meta;
    }
    const meta = describeVersion(key, readContentRow(found));
    remembered.set(key, { revision, found, meta });
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

function isSame(one: ContentRow, other: ContentRow): boolean {
  return one.inode === other.inode && Buffer.compare(one.row, other.row) === 0;
}
