import { join } from "node:path";
import { backgroundCtx } from "../../../src/core/context.ts";
import { openLmdbKv } from "../../../src/kv/index.ts";
import type { FilePath } from "../../../src/core/ids.ts";
import { checkCatalog, findTombstone, isBuried, listPage } from "../../../src/namespace/index.ts";
import { type ObjectInfo, openFileStore } from "../../../src/stores/index.ts";

/** Holds the disks of a daemon that is stopped and has no work left against what its clients know. */

const PAGE = 1_000;
/** Hidden from everybody: what a write that died displaced, swept some days after it; what lost against another, kept for a while; the mark of the place. */
const OWN_CORNERS = [".globalfs/displaced/", ".globalfs/set-aside/"];
const MARK = ".globalfs/site";

/** One sentence for each thing that is wrong. */
export async function faultsAtRest(
  directory: string,
  sites: readonly string[],
  expected: ReadonlyMap<string, Buffer>,
  wasUnanswered: (key: string, body: Buffer) => boolean = () => false,
): Promise<string[]> {
  const faults: string[] = [];
  const kv = await openLmdbKv({ path: join(directory, "catalog") });
  try {
    const report = await checkCatalog(kv);
    faults.push(...report.faults);
    const known = new Set<string>();
    const owed = new Set([...expected].filter(([key, body]) => !wasUnanswered(key, body)).map(([key]) => key));
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
      wasUnanswered(info.key, body) && isBuried(await kv.view((tx) => findTombstone(tx, info.key as FilePath)), info);
    for (const site of sites)
      faults.push(...(await faultsOfSite(join(directory, site), { site, expected, owed, isRemnant })));
  } finally {
    await kv.close();
  }
  return faults;
}

interface SiteCheck {
  readonly site: string;
  readonly expected: ReadonlyMap<string, Buffer>;
  /** Those of the expected that every site must have. */
  readonly owed: ReadonlySet<string>;
  readonly isRemnant: (info: ObjectInfo, body: Buffer) => Promise<boolean>;
}

async function faultsOfSite(root: string, { site, expected, owed, isRemnant }: SiteCheck): Promise<string[]> {
  const faults: string[] = [];
  const ctx = backgroundCtx();
  const store = await openFileStore({ root });
  try {
    const found = new Set<string>();
    let continuation: string | undefined;
    do {
      const page = await store.list(ctx, { limit: PAGE, ...(continuation === undefined ? {} : { continuation }) });
      for (const { key } of page.objects) {
        if (key === MARK || OWN_CORNERS.some((corner) => key.startsWith(corner))) continue;
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
