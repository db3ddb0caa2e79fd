import type { Consistency } from "../core/consistency.ts";
import type { SiteName } from "../core/ids.ts";
import { type BreakerState, type Site, type SiteDirectory, type SiteRole } from "../stores/index.ts";
import type { LatencyTracker } from "./latency.ts";
import { compilePattern, type Matcher } from "./pattern.ts";
import type { Operation, Publishing, Route, Rule, SiteHealth, WritePlan } from "./types.ts";

/** Decides where an operation on a key goes, by rules, roles, health and measured latency. Touches nothing itself. */
export interface Router {
  routeRead(key: string): Route;
  routeDelete(key: string): Route;
  planWrite(key: string): WritePlan;
  /** What is promised to those who have read it, when it is written to. */
  consistencyOf(key: string): Consistency;
  circuitOf(site: Site): BreakerState | undefined;
  latencyOf(site: Site): number | undefined;
}

export interface RouterDeps {
  readonly sites: SiteDirectory;
  readonly latency: LatencyTracker;
  readonly health: { lastOf(site: SiteName): SiteHealth | undefined };
}

/** When no rule matches. */
const DEFAULT_ORDER: readonly SiteRole[] = ["primary", "backup", "burst"];

interface CompiledRule extends Rule {
  readonly matches: Matcher;
}

interface Targets {
  readonly rule: string | undefined;
  readonly publish: Publishing;
  readonly consistency: Consistency;
  readonly roles: readonly SiteRole[];
  /** In the order of the roles, then as configured. */
  readonly sites: readonly Site[];
}

export function createRouter({ sites, latency, health }: RouterDeps, rules: readonly Rule[]): Router {
  const compiled = rules
    .map((rule): CompiledRule => ({ ...rule, matches: compilePattern(rule.keyPattern) }))
    .sort((one, other) => one.priority - other.priority);

  const targetsOf = (operation: Operation, key: string): Targets => {
    const rule = compiled.find(
      ({ operations, matches }) => (operations.length === 0 || operations.includes(operation)) && matches(key),
    );
    const roles = rule === undefined || rule.targetRoles.length === 0 ? DEFAULT_ORDER : rule.targetRoles;
    const all = sites.list();
    return {
      rule: rule?.name,
      publish: rule?.publish ?? "soon",
      consistency: rule?.consistency ?? "close-to-open",
      roles,
      sites: roles.flatMap((role) => all.filter((site) => site.role === role)),
    };
  };

  const route = (operation: Operation, key: string): Route => {
    const { rule, roles, sites: targets } = targetsOf(operation, key);
    const open = targets.filter((site) => site.circuit?.() === "open");
    const usable = targets.filter((site) => !open.includes(site));
    const isWell = ({ name }: Site): boolean => {
      const last = health.lastOf(name);
      return last === undefined || (last.healthy && last.doubted !== true);
    };
    const rank = new Map(usable.map((site, index) => [site, { index, healthy: isWell(site) }]));
    const rankOf = (site: Site): { index: number; healthy: boolean } =>
      rank.get(site) as { index: number; healthy: boolean };
    const ordered = [...usable].sort((one, other) => {
      const [left, right] = [rankOf(one), rankOf(other)];
      if (left.healthy !== right.healthy) return left.healthy ? -1 : 1;
      if (one.role !== other.role) return roles.indexOf(one.role) - roles.indexOf(other.role);
      return latency.stepOf(one) - latency.stepOf(other) || left.index - right.index;
    });
    return {
      operation,
      sites: ordered,
      skipped: open.map((site) => ({
        site: site.name,
        reason: `Site ${site.name} failed too often; its breaker is open and lets a probe through after the cooldown.`,
      })),
      ...(rule === undefined ? {} : { rule }),
    };
  };

  return {
    routeRead: (key) => route("read", key),
    routeDelete: (key) => route("delete", key),
    planWrite(key) {
      const { rule, publish, consistency, sites: targets } = targetsOf("write", key);
      const primaries = targets.filter((site) => site.role === "primary");
      const required = primaries.length > 0 ? primaries : targets.filter((site) => site.role === targets[0]?.role);
      return {
        required,
        following: targets.filter((site) => !required.includes(site)),
        publish,
        consistency,
        ...(rule === undefined ? {} : { rule }),
      };
    },
    consistencyOf: (key) => targetsOf("write", key).consistency,
    circuitOf: (site) => site.circuit?.(),
    latencyOf: (site) => latency.latencyOf(site.name),
  };
}
