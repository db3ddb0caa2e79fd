import type { Client, ObjectInfo } from "@globalfs/client";
import { forEachBounded } from "../../core/async/for-each.ts";
import { isGfsError } from "../../core/errors.ts";
import { absenceOf } from "../absent.ts";
import type { CliContext } from "../context.ts";
import { findObject } from "../find-object.ts";
import { prefixOf } from "../location.ts";
import { countFailure, type Tally } from "../tally.ts";
import { removeObject } from "./remove-object.ts";

export interface Removal {
  readonly client: Client;
  readonly context: CliContext;
  readonly tally: Tally;
  readonly recursive: boolean;
  /** A key that is not there is no failure. */
  readonly force: boolean;
  /** Whether this one shall go. */
  readonly wanted: ((key: string) => Promise<boolean>) | undefined;
  /** Only counted and named. */
  readonly show: ((key: string) => Promise<void>) | undefined;
  readonly onRemoved: () => void;
}

/** So many keys go in one request, and so many requests at once. */
const BATCH = 250;
const PARALLEL = 2;

/** One after the other; a failure of one does not keep the others. */
export async function removeKeys(removal: Removal, keys: readonly string[]): Promise<void> {
  const { tally, force } = removal;
  for (const key of keys) {
    try {
      await (removal.recursive ? removeTree(removal, key) : removeOne(removal, key));
    } catch (error) {
      if (!(force && isGfsError(error, "NotFound"))) countFailure(tally, key, error);
    }
  }
}

async function removeOne(removal: Removal, key: string): Promise<void> {
  const { client, context, tally, wanted, show, onRemoved } = removal;
  const { signal } = context;
  if (wanted !== undefined && !(await wanted(key))) return;
  if (show === undefined) {
    const { pendingSites } = await removeObject(client, key, signal);
    for (const site of pendingSites) tally.pendingSites.add(site);
  } else {
    const info = await findObject(client, key, signal);
    if (info === undefined) throw await absenceOf(client, key, { signal, forDirectories: "globalfs rm -r" });
    await show(key);
    tally.bytes += info.size;
  }
  tally.done += 1;
  onRemoved();
}

/** The object of that name, everything below it, and last the buckets, which have to be empty by then. */
async function removeTree(removal: Removal, key: string): Promise<void> {
  const { client, context, tally, wanted } = removal;
  const { signal } = context;
  const prefix = prefixOf(key);
  const buckets: ObjectInfo[] = [];
  let seen = 0;
  const remove = async (batch: readonly ObjectInfo[]): Promise<void> => {
    seen += batch.length;
    await removeListed(removal, batch);
  };
  if (key !== prefix && prefix !== "") {
    const own = await findObject(client, key, signal);
    if (own !== undefined) await remove([own]);
  }
  const objects = client.list({
    prefix,
    others: true,
    signal,
    onPartial: ({ site, error }) => tally.unseenSites.set(site, error),
  });
  const inTree = exceptBuckets(objects, buckets);
  await forEachBounded(batches(inTree, wanted === undefined ? BATCH : 1), wanted === undefined ? PARALLEL : 1, remove);
  if (buckets.length > 0) await remove(buckets);
  if (seen === 0) throw await absenceOf(client, key, { signal, forDirectories: "globalfs ls" });
}

async function* exceptBuckets(objects: AsyncIterable<ObjectInfo>, buckets: ObjectInfo[]): AsyncGenerator<ObjectInfo> {
  for await (const object of objects) {
    if (/^[^/]+\/$/.test(object.key)) buckets.push(object);
    else yield object;
  }
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** What goes away between the listing and its turn is not counted. */
async function removeListed(removal: Removal, listed: readonly ObjectInfo[]): Promise<void> {
  const { client, context, tally, wanted, show, onRemoved } = removal;
  const batch: ObjectInfo[] = [];
  for (const object of listed) if (wanted === undefined || (await wanted(object.key))) batch.push(object);
  const count = ({ size }: ObjectInfo): void => {
    tally.done += 1;
    tally.bytes += size;
    onRemoved();
  };
  if (show !== undefined) {
    for (const object of batch) {
      await show(object.key);
      count(object);
    }
    return;
  }
  let index = 0;
  const results = client.deleteMany(
    batch.map(({ key }) => key),
    { signal: context.signal },
  );
  for await (const { key, deleted, pendingSites, error, code } of results) {
    const object = batch[index++] as ObjectInfo;
    if (error !== undefined) countFailure(tally, key, Object.assign(new Error(error), { name: "GlobalFsError", code }));
    for (const site of pendingSites) tally.pendingSites.add(site);
    if (deleted) count(object);
  }
}
