import type { Ctx } from "../../core/context.ts";
import type { FilePath } from "../../core/ids.ts";
import { describePause } from "../../mover/index.ts";
import { type FileRecord, findDirectory, findFile, findTombstone, type Tombstone } from "../../namespace/index.ts";
import type { Route } from "../../placement/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import { locate } from "../foreign/lookup.ts";
import { describeFile } from "../objects/object-meta.ts";
import { VERSIONS_PREFIX } from "../copies/object-keys.ts";
import type { Kit } from "../kit.ts";
import { listSetAside } from "../foreign/set-aside.ts";
import type { ExplainedRoute, Explanation } from "../service/service.ts";

export async function explain(kit: Kit, ctx: Ctx, key: string): Promise<Explanation> {
  const where = locate(key);
  const { path } = where;
  const notes: string[] = [];
  if (!where.directory) {
    await adoptFromSites(kit, ctx, path).catch((error: unknown) => notes.push((error as Error).message));
  }
  const file = await readCatalog(kit.kv, (tx) => (where.directory ? findDirectory(tx, path) : findFile(tx, path)));
  const tombstone = file === undefined ? await readCatalog(kit.kv, (tx) => findTombstone(tx, path)) : undefined;
  const plan = kit.router.planWrite(path);
  const jobs = await kit.mover.jobsOf(path);
  const pause = jobs.length === 0 ? undefined : await kit.mover.findPause();
  if (pause !== undefined)
    notes.push(`All jobs are paused ${describePause(pause)}; \`globalfs jobs resume --all\` lets them go on.`);
  const copies = await describeCopies(kit, file);
  return {
    key: where.key,
    exists: file !== undefined,
    copies,
    read: describeRoute(kit.router.routeRead(path)),
    write: {
      required: plan.required.map((site) => site.name),
      following: plan.following.map((site) => site.name),
      publish: plan.publish,
      ...(plan.rule === undefined ? {} : { rule: plan.rule }),
    },
    delete: describeRoute(kit.router.routeDelete(path)),
    jobs,
    cachedBytes: file?.version === undefined ? 0 : (kit.cache?.bytesOf(file.version.id) ?? 0),
    notes: [...notes, ...adviceFor(kit, { path, file, tombstone, copies }), ...(await describeSetAside(kit, path))],
    ...(file === undefined ? {} : { kind: file.kind, meta: describeFile(where.key, file) }),
    ...(tombstone === undefined ? {} : { deleted: { atMs: tombstone.deletedMs, versionId: tombstone.versionId } }),
  };
}

function describeRoute(route: Route): ExplainedRoute {
  return {
    order: route.sites.map((site) => site.name),
    skipped: route.skipped,
    ...(route.rule === undefined ? {} : { rule: route.rule }),
  };
}

async function describeCopies(kit: Kit, file: FileRecord | undefined): Promise<Explanation["copies"]> {
  const described: Explanation["copies"][number][] = [];
  for (const copy of file?.version?.copies ?? []) {
    const site = kit.sites.find(copy.site);
    const healthy = site !== undefined && (await kit.health.healthOf(site)).healthy;
    described.push({
      site: copy.site,
      key: copy.key,
      state: copy.state,
      changedMs: copy.changedMs,
      healthy,
      ...(copy.home === undefined ? {} : { publishTo: copy.home }),
      ...(copy.reason === undefined ? {} : { reason: copy.reason }),
    });
  }
  return described;
}

async function describeSetAside(kit: Kit, path: FilePath): Promise<string[]> {
  const kept = await readCatalog(kit.kv, (tx) => listSetAside(tx, path));
  return kept.map(
    ({ versionId, site, key, sizeBytes, reason, atMs }) =>
      `An object of ${sizeBytes} bytes was set aside as version ${versionId} at ${new Date(atMs).toISOString()}. ${reason} It is ${key} at ${site}, for 30 days.`,
  );
}

interface Findings {
  readonly path: FilePath;
  readonly file: FileRecord | undefined;
  readonly tombstone: Tombstone | undefined;
  readonly copies: Explanation["copies"];
}

function adviceFor(kit: Kit, { path, file, tombstone, copies }: Findings): string[] {
  const notes: string[] = [];
  const { publish } = kit.router.planWrite(path);
  if (file === undefined) {
    if (tombstone !== undefined)
      notes.push(
        `It was deleted at ${new Date(tombstone.deletedMs).toISOString()}; older objects at the sites stay hidden.`,
      );
    else notes.push("Neither the catalog nor any site that answered has it.");
    return notes;
  }
  for (const copy of copies) {
    if (kit.sites.find(copy.site as never) === undefined)
      notes.push(`Site ${copy.site} is not registered any more; its copy counts for nothing.`);
    else if (copy.state === "failed")
      notes.push(
        `Copying to ${copy.site} was given up: ${copy.reason ?? "no reason was kept"} \`globalfs replicate\` tries again.`,
      );
    else if (copy.state === "pending") notes.push(`The copy at ${copy.site} waits for its job.`);
    else if (copy.state === "stale")
      notes.push(`The copy at ${copy.site} is not used: ${copy.reason ?? "it holds other bytes."}`);
    if (copy.key !== path && !copy.key.startsWith(VERSIONS_PREFIX))
      notes.push(
        publish === "never"
          ? `At ${copy.site} the object has the key ${copy.key}, and no rule lets it be published under ${path}.`
          : `At ${copy.site} the object still has the key ${copy.key}; a publish job brings it to ${path}.`,
      );
  }
  const readable = copies.filter((copy) => copy.state === "present" || copy.state === "foreign");
  if (file.kind === "file" && !readable.some((copy) => copy.healthy))
    notes.push("No healthy site holds it now: reads fail until one answers.");
  return notes;
}
