import type { SiteName } from "../../core/ids.ts";
import { createMemoryStore, type Site, type SiteRole } from "../../stores/index.ts";

export function testSite(name: string, role: SiteRole = "primary", more: Partial<Site> = {}): Site {
  return {
    name: name as SiteName,
    role,
    store: createMemoryStore(),
    foreign: "merge",
    label: `memory://${name}`,
    ...more,
  };
}
