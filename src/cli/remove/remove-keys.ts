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

const CONCURRENCY = 8;

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
  const remove = async (object: ObjectInfo): Promise<void> => {
    seen += 1;
    try {
      await removeListed(removal, object);
    } catch (error) {
      countFailure(tally, object.key, error);
    }
  };
  if (key !== prefix && prefix !== "") {
    const own = await findObject(client, key, signal);
    if (own !== undefined) await remove(own);
  }
  const objects = client.list({
    prefix,
    others: true,
    signal,
    onPartial: ({ site, error }) => tally.unseenSites.set(site, error),
  });
  await forEachBounded(objects, wanted === undefined ? CONCURRENCY : 1, async (object) => {
    if (/^[^/]+\/$/.test(object.key)) buckets.push(object);
    else await remove(object);
  });
  for (const bucket of buckets) await remove(bucket);
  if (seen === 0) throw await absenceOf(client, key, { signal, forDirectories: "globalfs ls" });
}

/** What goes away between the listing and its turn is not counted. */
async function removeListed(removal: Removal, object: ObjectInfo): Promise<void> {
  const { client, context, tally, wanted, show, onRemoved } = removal;
  const { key, size } = object;
  if (wanted !== undefined && !(await wanted(key))) return;
  if (show === undefined) {
    const { deleted, pendingSites } = await client.delete(key, { signal: context.signal });
    for (const site of pendingSites) tally.pendingSites.add(site);
    if (!deleted) return;
  } else await show(key);
  tally.done += 1;
  tally.bytes += size;
  onRemoved();
}
