import type { Usage } from "../../../coordinator/index.ts";
import { type Lister, partsBelow } from "./visible-listing.ts";

/** What lies below a prefix, as far as the caller may list it. */
export async function visibleUsage(lister: Lister, prefix: string): Promise<Usage> {
  const { service, ctx } = lister;
  const parts = await partsBelow(lister, prefix);
  if (parts === undefined) return await service.usage(ctx, prefix);
  const bySite = new Map<string, { objects: number; bytes: number }>();
  let objects = 0;
  let bytes = 0;
  for (const part of parts) {
    const found = part.exact === true ? await usageOfOne(lister, part.prefix) : await service.usage(ctx, part.prefix);
    objects += found.objects;
    bytes += found.bytes;
    for (const [site, held] of Object.entries(found.bySite)) {
      const before = bySite.get(site) ?? { objects: 0, bytes: 0 };
      bySite.set(site, { objects: before.objects + held.objects, bytes: before.bytes + held.bytes });
    }
  }
  return { prefix, objects, bytes, bySite: Object.fromEntries(bySite) };
}

async function usageOfOne({ service, ctx }: Lister, key: string): Promise<Usage> {
  const { meta, copies } = await service.explain(ctx, key);
  if (meta === undefined) return { prefix: key, objects: 0, bytes: 0, bySite: {} };
  const held = copies.filter(({ state }) => state === "present" || state === "foreign");
  const one = { objects: 1, bytes: meta.sizeBytes };
  return { prefix: key, ...one, bySite: Object.fromEntries(held.map(({ site }) => [site, one])) };
}
