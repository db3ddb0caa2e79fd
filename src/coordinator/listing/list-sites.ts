import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { findFile, isNameable, type MovedDirectory, movesAt, whereBelongs } from "../../namespace/index.ts";
import { compareKeys, type Site, SITE_ROLES } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { isAdoptable } from "../foreign/foreign.ts";
import { type Candidate, cursorsAt, type SiteCursor } from "./list-cursor.ts";
import { describeFile, describeForeign } from "../objects/object-meta.ts";
import type { Kit } from "../kit.ts";
import type { ObjectMeta } from "../service/service.ts";

export interface Scope {
  readonly prefix: string;
  readonly delimiter?: "/";
}

export interface AtSite {
  readonly site: Site;
  readonly candidate: Candidate;
}

const NOWHERE: readonly AtSite[] = [];

export interface SiteScan extends Scope {
  /** Those whose own objects count. */
  readonly sites: readonly Site[];
  readonly after: string | undefined;
  readonly limit: number;
  /** Directories that were renamed, with objects that nobody has taken in yet. */
  readonly moves: readonly MovedDirectory[];
  /** Whether the page of the catalog that the merge is at shows this very key, so that no site need describe it. */
  readonly isKnown?: (key: string) => boolean;
  /** Whether a listing of this prefix would show anything that the site has. */
  readonly prefixIsReal: (site: Site, prefix: string) => Promise<boolean>;
}

/** What the sites add to a listing of the catalog: objects that nobody has taken in yet, in key order. */
export class SiteObjects {
  readonly #kit: Kit;
  readonly #scan: SiteScan;
  readonly #cursors: SiteCursor[];
  readonly #startedMs: number;
  /** Sites that could not be listed. */
  readonly failed: { site: string; error: string }[] = [];

  constructor(kit: Kit, ctx: Ctx, scan: SiteScan) {
    this.#kit = kit;
    this.#scan = scan;
    this.#startedMs = kit.clock.nowMs();
    const { prefixIsReal: _, sites, moves, ...query } = scan;
    // Rules place single keys; a listing asks everybody, the best role first.
    const ordered = [...sites].sort((one, other) => SITE_ROLES.indexOf(one.role) - SITE_ROLES.indexOf(other.role));
    const answering = ordered.filter((site) => kit.router.circuitOf(site) !== "open");
    this.#cursors = answering.flatMap((site) => cursorsAt(site, ctx, movesAt(moves, site.name), query));
    for (const { name } of ordered.filter((site) => !answering.includes(site))) {
      this.failed.push({ site: name, error: "The site failed too often just now; its breaker is open." });
    }
  }

  /** Some of them must be asked before the merge can go on. */
  get hungry(): boolean {
    return this.#cursors.some((cursor) => cursor.hungry && !cursor.dropped);
  }

  /** Asks all of those at once. */
  async load(): Promise<void> {
    await Promise.all(this.#cursors.map(async (cursor) => await this.#loadOne(cursor)));
  }

  lowest(): string | undefined {
    let lowest: string | undefined;
    for (const cursor of this.#cursors) {
      const key = cursor.dropped ? undefined : cursor.head?.key;
      if (key !== undefined && (lowest === undefined || compareKeys(key, lowest) < 0)) lowest = key;
    }
    return lowest;
  }

  /** Consumes `key` at every site. */
  take(key: string): readonly AtSite[] {
    let found: AtSite[] | undefined;
    for (const cursor of this.#cursors) {
      const candidate = cursor.dropped ? undefined : cursor.head;
      if (candidate?.key !== key) continue;
      cursor.advance();
      (found ??= []).push({ site: cursor.site, candidate });
    }
    return found ?? NOWHERE;
  }

  /** What shows of a key that the catalog does not list. */
  async shown(key: string, atSites: readonly AtSite[]): Promise<ObjectMeta | "prefix" | undefined> {
    for (const { site, candidate } of atSites) {
      if (candidate.known === true)
        throw new GfsError("Internal", `A listing lost ${key} on its way.`, { op: "coordinator.list" });
      if (candidate.info === undefined) {
        if (await this.#scan.prefixIsReal(site, key)) return "prefix";
        continue;
      }
      if (!isNameable(key)) continue;
      const found = { site, info: candidate.info, path: key as FilePath };
      const kit = this.#kit;
      const startedMs = this.#startedMs;
      const shown = await readCatalog(kit.kv, function* (tx): Program<ObjectMeta | undefined> {
        if (key.endsWith("/"))
          return (yield* whereBelongs(tx, site.name, found.info)) === key
            ? describeForeign(key, found.info)
            : undefined;
        const file = yield* findFile(tx, found.path);
        // It was taken in since the page of the catalog was read; one that was there under another name shows under that.
        if (file?.kind === "file" && file.created.ms >= startedMs) return describeFile(key, file);
        return file === undefined && (yield* isAdoptable(tx, kit, found))
          ? describeForeign(key, found.info)
          : undefined;
      });
      if (shown !== undefined) return shown;
    }
    return undefined;
  }

  /** A site that fails drops out of the merge, and the answer says so. */
  async #loadOne(cursor: SiteCursor): Promise<void> {
    if (cursor.dropped) return;
    try {
      await cursor.load();
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      cursor.drop();
      this.failed.push({ site: cursor.site.name, error: toGfsError(error).message });
    }
  }
}
