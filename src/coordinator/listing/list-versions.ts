import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import {
  type FileVersion,
  findFile,
  findHistory,
  historyAfter,
  type HistoryPlace,
  pageVersions,
  readMoves,
  shownIdOf,
  shownVersionId,
  type VersionItem,
  type VersionPage,
  type VersionPlace,
} from "../../namespace/index.ts";
import { compareKeys, type Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import { showsSomething } from "./list.ts";
import { SiteObjects } from "./list-sites.ts";
import { describeFile } from "../objects/object-meta.ts";
import { sitesWithForeign } from "../foreign/first-import.ts";
import type { Kit } from "../kit.ts";
import type { ListVersionsRequest, ListVersionsResult, ObjectMeta, VersionEntry } from "../service/service.ts";

const MAX_PREFIX_BYTES = 1_024;

/** Every version and delete marker in exact order: one moment of the catalog for a page, and what only the sites have, as `null` versions. */
export async function listVersions(kit: Kit, ctx: Ctx, request: ListVersionsRequest): Promise<ListVersionsResult> {
  const { prefix, delimiter, limit } = request;
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES)
    throw new GfsError("InvalidArgument", `A prefix may have ${MAX_PREFIX_BYTES} bytes.`);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new GfsError("InvalidArgument", "A page of versions has 1 to 1,000 entries; page with the markers for more.");
  const scope = { prefix, ...(delimiter === undefined ? {} : { delimiter }) };
  const { afterKey } = request;
  const page = await readCatalog(kit.kv, function* (tx): Program<VersionPage> {
    const after = afterKey === undefined ? undefined : yield* placeAfter(tx, afterKey, request.afterVersionId);
    // One more than is asked for says whether there is more.
    return yield* pageVersions(tx, { ...scope, limit: limit + 1, ...(after === undefined ? {} : { after }) });
  });
  const prefixIsReal = async (site: Site, below: string): Promise<boolean> =>
    await showsSomething(kit, ctx, site, below);
  const sites = new SiteObjects(kit, ctx, {
    ...scope,
    sites: await sitesWithForeign(kit),
    moves: await readCatalog(kit.kv, readMoves),
    after: afterKey,
    limit,
    prefixIsReal,
  });
  return await new VersionMerge(kit, ctx, { page, sites, limit }).run();
}

/** Where the page before ended. A version that is gone by now is told by its id, for ids sort as they were made. */
function* placeAfter(tx: Reader, key: string, versionId: string | undefined): Program<VersionPlace> {
  if (versionId === undefined || key.endsWith("/")) return { key };
  const path = key as FilePath;
  const current = (yield* findFile(tx, path))?.version;
  if (current !== undefined && shownIdOf(current) === versionId) return { key, row: "current" };
  const row = yield* findHistory(tx, path, versionId);
  if (row !== undefined) return { key, row };
  if (versionId === "null") return { key, row: "none" };
  let last: HistoryPlace | undefined;
  for (;;) {
    const rows = yield* historyAfter(tx, path, { limit: SCAN, ...(last === undefined ? {} : { after: last }) });
    for (const each of rows) {
      if (each.versionId < versionId && last !== undefined) return { key, row: last };
      if (each.versionId < versionId) return { key, row: isLater(current, versionId) ? "current" : "none" };
      last = each;
    }
    if (rows.length === SCAN) continue;
    return rows.length === 0 && last === undefined && current !== undefined && !isLater(current, versionId)
      ? { key, row: "none" }
      : { key };
  }
}

function isLater(current: FileVersion | undefined, versionId: string): boolean {
  return current !== undefined && current.id > versionId;
}

const SCAN = 1_000;

interface Sources {
  readonly page: VersionPage;
  readonly sites: SiteObjects;
  readonly limit: number;
}

interface Line {
  readonly key: string;
  readonly item?: VersionItem;
}

class VersionMerge {
  readonly #kit: Kit;
  readonly #ctx: Ctx;
  readonly #sites: SiteObjects;
  readonly #limit: number;
  readonly #lines: readonly Line[];
  readonly #entries: VersionEntry[] = [];
  readonly #prefixes: string[] = [];
  #last: ListVersionsResult["next"];
  /** A key whose current version is an object that the catalog did not know. */
  #foreign: string | undefined;

  constructor(kit: Kit, ctx: Ctx, { page, sites, limit }: Sources) {
    this.#kit = kit;
    this.#ctx = ctx;
    this.#sites = sites;
    this.#limit = limit;
    const items = page.items.map((item): Line => ({ key: item.key, item }));
    const prefixes = page.prefixes.map((key): Line => ({ key }));
    this.#lines =
      prefixes.length === 0 ? items : [...items, ...prefixes].sort((one, other) => compareKeys(one.key, other.key));
  }

  async run(): Promise<ListVersionsResult> {
    let index = 0;
    for (;;) {
      const line = this.#lines[index];
      if (this.#sites.hungry) await this.#sites.load();
      const atSites = this.#sites.lowest();
      if (line === undefined && atSites === undefined) return this.#result(false);
      const siteFirst = atSites !== undefined && (line === undefined || compareKeys(atSites, line.key) <= 0);
      if (siteFirst) {
        const known = line?.key === atSites && (line.item === undefined || line.item.row === undefined);
        const taken = this.#sites.take(atSites);
        const found = known ? undefined : await this.#sites.shown(atSites, taken);
        if (found === undefined) continue;
        if (this.#isFull()) return this.#result(true);
        await this.#addForeign(atSites, found, line?.key === atSites);
        continue;
      }
      if (this.#isFull()) return this.#result(true);
      index += 1;
      this.#add(line as Line);
    }
  }

  #isFull(): boolean {
    return this.#entries.length + this.#prefixes.length >= this.#limit;
  }

  #result(more: boolean): ListVersionsResult {
    return {
      entries: this.#entries,
      prefixes: this.#prefixes,
      failedSites: this.#sites.failed,
      ...(more && this.#last !== undefined ? { next: this.#last } : {}),
    };
  }

  #add({ key, item }: Line): void {
    if (item === undefined) {
      if (this.#prefixes.at(-1) !== key) this.#prefixes.push(key);
      this.#last = { key };
      return;
    }
    const entry = describeItem(item, this.#foreign === key);
    this.#entries.push(entry);
    this.#last = { key, versionId: entry.versionId };
  }

  /** With older versions of the key it is taken in, so that it has the id by which it can be read. */
  async #addForeign(key: string, found: ObjectMeta | "prefix", hasHistory: boolean): Promise<void> {
    if (found === "prefix") return this.#add({ key });
    this.#foreign = key;
    const file = hasHistory ? await adoptFromSites(this.#kit, this.#ctx, key as FilePath) : undefined;
    const meta = file === undefined ? found : describeFile(key, file);
    const versionId = file?.version === undefined ? "null" : shownIdOf(file.version);
    const owner = meta.details?.owner;
    this.#entries.push({
      key,
      versionId,
      isLatest: true,
      modifiedMs: meta.modifiedMs,
      meta,
      ...(owner === undefined ? {} : { owner }),
    });
    this.#last = { key, versionId };
  }
}

function describeItem({ key, file, row, isLatest }: VersionItem, superseded: boolean): VersionEntry {
  const latest = isLatest && !superseded;
  if (file === undefined) {
    const { createdMs, owner, ...marker } = row as NonNullable<typeof row>;
    const versionId = shownVersionId(marker);
    return { key, versionId, isLatest: latest, modifiedMs: createdMs, ...(owner === undefined ? {} : { owner }) };
  }
  const meta = describeFile(key, file);
  const owner = meta.details?.owner;
  return {
    key,
    versionId: file.version === undefined ? "null" : shownIdOf(file.version),
    isLatest: latest,
    modifiedMs: meta.modifiedMs,
    meta,
    ...(owner === undefined ? {} : { owner }),
  };
}
