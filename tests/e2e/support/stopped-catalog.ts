import { join } from "node:path";
import { backgroundCtx } from "../../../src/core/context.ts";
import { openLmdbKv } from "../../../src/kv/index.ts";
import { checkCatalog, listPage } from "../../../src/namespace/index.ts";
import { openFileStore } from "../../../src/stores/index.ts";

/** Holds the disks of a daemon that is stopped and has no work left against what its clients know. */

const PAGE = 1_000;
const OWN_CORNER = ".globalfs/displaced/";

/** One sentence for each thing that is wrong. */
export async function faultsAtRest(
  directory: string,
  sites: readonly string[],
  expected: ReadonlyMap<string, Buffer>,
): Promise<string[]> {
  const faults: string[] = [];
  const kv = await openLmdbKv({ path: join(directory, "catalog") });
  try {
    const report = await checkCatalog(kv);
    faults.push(...report.faults);
    const known = new Set<string>();
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
        if (copies.toSorted().join() !== wanted.toSorted().join()) {
          faults.push(`The catalog says of ${key}: ${copies.join(", ") || "no copies"}.`);
        }
      }
      after = page.next;
    } while (after !== undefined);
    faults.push(...difference("The catalog", known, expected));
  } finally {
    await kv.close();
  }
  for (const site of sites) faults.push(...(await faultsOfSite(join(directory, site), site, expected)));
  return faults;
}

async function faultsOfSite(root: string, site: string, expected: ReadonlyMap<string, Buffer>): Promise<string[]> {
  const faults: string[] = [];
  const ctx = backgroundCtx();
  const store = await openFileStore({ root });
  try {
    const found = new Set<string>();
    let continuation: string | undefined;
    do {
      const page = await store.list(ctx, { limit: PAGE, ...(continuation === undefined ? {} : { continuation }) });
      for (const { key } of page.objects) {
        // Hidden from everybody, and swept some days after the write that died.
        if (key.startsWith(OWN_CORNER)) continue;
        found.add(key);
        const { stream } = await store.get(ctx, key);
        const pieces: Uint8Array[] = [];
        for await (const piece of stream) pieces.push(Uint8Array.from(piece));
        const wanted = expected.get(key);
        if (wanted !== undefined && !Buffer.concat(pieces).equals(wanted))
          faults.push(`At ${site} ${key} has other bytes.`);
      }
      ({ continuation } = page);
    } while (continuation !== undefined);
    faults.push(...difference(`The site ${site}`, found, expected));
  } finally {
    await store.close();
  }
  return faults;
}

function difference(who: string, found: ReadonlySet<string>, expected: ReadonlyMap<string, Buffer>): string[] {
  return [
    ...[...expected.keys()].filter((key) => !found.has(key)).map((key) => `${who} lacks ${key}.`),
    ...[...found]
      .filter((key) => !expected.has(key))
      .map((key) => `${who} has ${key}, which was deleted or never written.`),
  ];
}
