import { join } from "node:path";
import { backgroundCtx } from "../../../src/core/context.ts";
import { encodeKey, type Kv, openLmdbKv, prefixRange } from "../../../src/kv/index.ts";
import type { FilePath } from "../../../src/core/ids.ts";
import { isSetAside, SET_ASIDE_PREFIX, type SetAside } from "../../../src/coordinator/foreign/set-aside.ts";
import { catalogFaults } from "../../support/catalog-faults.ts";
import { findTombstone, isBuried, listPage } from "../../../src/namespace/index.ts";
import { type ObjectInfo, openFileStore } from "../../../src/stores/index.ts";

/** Holds the disks of a daemon that is stopped and has no work left against what its clients know. */

const PAGE = 1_000;
/** Hidden from everybody: what a write that died displaced, swept some days after it; what lost against another, which the catalog knows; the mark of the place. */
const LANDED = ".globalfs/landed/";
const MARK = ".globalfs/site";

/** One sentence for each thing that is wrong. */
export async function faultsAtRest(
  directory: string,
  sites: readonly string[],
  expected: ReadonlyMap<string, Buffer>,
  wasUnanswered?: (key: string, body: Buffer) => boolean,
): Promise<string[]> {
  // Only a process that died leaves anything that the catalog does not know.
  const wasKilled = wasUnanswered !== undefined;
  const isUnanswered = wasUnanswered ?? (() => false);
  const faults: string[] = [];
  const kv = await openLmdbKv({ path: join(directory, "catalog") });
  try {
    faults.push(...(await catalogFaults(kv)));
    const known = new Set<string>();
    const owed = new Set([...expected].filter(([key, body]) => !isUnanswered(key, body)).map(([key]) => key));
    let after: string | undefined;
    do {
      const from = after;
      const page = await kv.view((tx) =>
        listPage(tx, { prefix: "", limit: PAGE, ...(from === undefined ? {} : { after: from }) }),
      );
      for (const { key, file } of page.files) {
        known.add(key);
        const copies = (file.version?.copies ?? []).map((copy) => `${copy.site} ${copy.state} as ${copy.key}`);
        const wanted = sites.map((site) => `${site} present as ${key}`);
        // A write without an answer was found at a site, as an object of another tool would be: nobody promised more copies of it.
        const alone = owed.has(key) ? "" : `${sites[0]} foreign as ${key}`;
        if (copies.toSorted().join() !== wanted.toSorted().join() && copies.join() !== alone) {
          faults.push(`The catalog says of ${key}: ${copies.join(", ") || "no copies"}.`);
        }
      }
      after = page.next;
    } while (after !== undefined);
    faults.push(...difference("The catalog", known, expected));
    // What a write left that was never answered may lie there, if nobody can see it.
    const isRemnant = async (info: ObjectInfo, body: Buffer): Promise<boolean> =>
      isUnanswered(info.key, body) && isBuried(await kv.view((tx) => findTombstone(tx, info.key as FilePath)), info);
    const isOwn = async ({ key }: ObjectInfo): Promise<boolean> =>
      key === MARK ||
      (key.startsWith(SET_ASIDE_PREFIX) && (wasKilled || (await kv.view((tx) => isSetAside(tx, key))))) ||
      (key.startsWith(LANDED) && wasKilled);
    for (const site of sites) {
      const setAside = (await setAsideIn(kv)).filter((row) => row.site === site);
      faults.push(...(await faultsOfSite(join(directory, site), { site, expected, owed, isRemnant, isOwn, setAside })));
    }
  } finally {
    await kv.close();
  }
  return faults;
}

/** All that the catalog has set aside. */
async function setAsideIn(kv: Kv): Promise<SetAside[]> {
  const rows = await kv.view((tx) => tx.range({ ...prefixRange(encodeKey("coordinator-set-aside")), limit: 10_000 }));
  return rows.map(({ value }) => JSON.parse(Buffer.from(value).toString()) as SetAside);
}

interface SiteCheck {
  readonly site: string;
  readonly expected: ReadonlyMap<string, Buffer>;
  /** Those of the expected that every site must have. */
  readonly owed: ReadonlySet<string>;
  readonly isRemnant: (info: ObjectInfo, body: Buffer) => Promise<boolean>;
  readonly isOwn: (info: ObjectInfo) => Promise<boolean>;
  /** What the catalog has set aside there. */
  readonly setAside: readonly SetAside[];
}

async function faultsOfSite(
  root: string,
  { site, expected, owed, isRemnant, isOwn, setAside }: SiteCheck,
): Promise<string[]> {
  const faults: string[] = [];
  const ctx = backgroundCtx();
  const store = await openFileStore({ root });
  try {
    for (const { key, path, etag } of setAside) {
      const there = await store.head(ctx, key).catch(() => undefined);
      if (there?.etag !== etag) faults.push(`At ${site} ${key}, set aside for ${path}, is not what the catalog says.`);
    }
    const found = new Set<string>();
    let continuation: string | undefined;
    do {
      const page = await store.list(ctx, { limit: PAGE, ...(continuation === undefined ? {} : { continuation }) });
      for (const object of page.objects) {
        if (await isOwn(object)) continue;
        const { key } = object;
        const { info, stream } = await store.get(ctx, key);
        const pieces: Uint8Array[] = [];
        for await (const piece of stream) pieces.push(Uint8Array.from(piece));
        const wanted = expected.get(key);
        if (wanted === undefined && (await isRemnant(info, Buffer.concat(pieces)))) continue;
        found.add(key);
        if (wanted !== undefined && !Buffer.concat(pieces).equals(wanted))
          faults.push(`At ${site} ${key} has other bytes.`);
      }
      ({ continuation } = page);
    } while (continuation !== undefined);
    faults.push(...difference(`The site ${site}`, found, expected, owed));
  } finally {
    await store.close();
  }
  return faults;
}

function difference(
  who: string,
  found: ReadonlySet<string>,
  expected: ReadonlyMap<string, Buffer>,
  owed: Iterable<string> = expected.keys(),
): string[] {
  return [
    ...[...owed].filter((key) => !found.has(key)).map((key) => `${who} lacks ${key}.`),
    ...[...found]
      .filter((key) => !expected.has(key))
      .map((key) => `${who} has ${key}, which was deleted or never written.`),
  ];
}
