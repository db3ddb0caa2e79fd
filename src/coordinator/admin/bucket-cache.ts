import { isDeepStrictEqual } from "node:util";
import { LRUCache } from "lru-cache";
import type { Inode } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { bucketGeneration, findStoredBucket, findTopDirectory } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import type { Bucket } from "../service/service.ts";

/**
 * Every request names a bucket, and buckets seldom change: each is kept as long as the generation row and its directory stay what they were. When another one has
 * changed, its own rows are read once more and compared.
 */

const REMEMBERED = 10_000;

interface Remembered {
  readonly generation: number;
  /** Of its directory; absent when only sites know the bucket. */
  readonly inode: Inode | undefined;
  readonly bucket: Bucket;
  /** While the catalog has not changed at all nothing needs to be read. */
  revision: number | undefined;
}

export interface BucketCache {
  /** What the catalog knows, without a promise; undefined also where it cannot be read so. */
  peek(name: string): Bucket | undefined;
  find(name: string): Promise<Bucket | undefined>;
  /** One that only sites know. The same object comes back while it looks the same. */
  remember(bucket: Bucket): Bucket;
}

export function createBucketCache({ kv }: Kit): BucketCache {
  const remembered = new LRUCache<string, Remembered>({ max: REMEMBERED });
  const { viewSync, revisionSync } = kv;

  const look = function* (tx: Reader, name: string, revision: number | undefined): Program<Bucket | undefined> {
    const inode = yield* findTopDirectory(tx, name);
    if (inode === undefined) return undefined;
    const generation = yield* bucketGeneration(tx);
    const known = remembered.get(name);
    if (known !== undefined && known.inode === inode && known.generation === generation) {
      known.revision = revision;
      return known.bucket;
    }
    const found = yield* findStoredBucket(tx, name);
    if (found === undefined) return undefined;
    const now: Bucket = { ...found.settings, documents: found.documents };
    // What is made of a bucket is remembered by the object, so the very same one is to come back.
    const bucket = known?.inode === inode && isDeepStrictEqual(known.bucket, now) ? known.bucket : now;
    remembered.set(name, { generation, inode, bucket, revision });
    return bucket;
  };

  const peek = (name: string): Bucket | undefined => {
    if (viewSync === undefined) return undefined;
    const revision = revisionSync?.();
    if (revision !== undefined) {
      const known = remembered.get(name);
      if (known?.revision === revision) return known.bucket;
    }
    return viewSync((tx) => look(tx, name, revision));
  };

  return {
    peek,
    async find(name) {
      if (viewSync !== undefined) return peek(name);
      return await kv.view((tx) => look(tx, name, undefined));
    },
    remember(bucket) {
      const known = remembered.get(bucket.name);
      if (known !== undefined && known.inode === undefined && known.bucket.createdMs === bucket.createdMs)
        return known.bucket;
      remembered.set(bucket.name, { generation: -1, inode: undefined, bucket, revision: undefined });
      return bucket;
    },
  };
}
