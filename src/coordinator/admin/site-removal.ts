import { GfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Key } from "../../kv/index.ts";
import { pageLoneCopies } from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";

const OBJECTS_A_PAGE = 1_000;
/** More of them need not be counted to be too many. */
const MOST_COUNTED = 100_000;

/** What the namespace would lose with a site. */
export interface SiteLoss {
  readonly noPrimaryLeft: boolean;
  /** Versions whose only copy is there. */
  readonly onlyCopies: number;
}

export async function lossOf(kit: Kit, site: Site): Promise<SiteLoss> {
  const rest = kit.sites.list().filter((each) => each !== site);
  const noPrimaryLeft = site.role === "primary" && rest.every(({ role }) => role !== "primary");
  const others = new Set<SiteName>(rest.map(({ name }) => name));
  let onlyCopies = 0;
  let after: Key | undefined;
  do {
    const from = after;
    const page = await kit.kv.view((tx) =>
      pageLoneCopies(tx, {
        site: site.name,
        others,
        limit: OBJECTS_A_PAGE,
        ...(from === undefined ? {} : { after: from }),
      }),
    );
    onlyCopies += page.count;
    after = page.next;
    // Others are served between two pages.
    await new Promise(setImmediate);
  } while (after !== undefined && onlyCopies < MOST_COUNTED);
  return { noPrimaryLeft, onlyCopies };
}

export function refuseLoss(site: SiteName, { noPrimaryLeft, onlyCopies }: SiteLoss): void {
  const losses = [
    ...(noPrimaryLeft ? ["no primary site would be left, so that nothing could be written"] : []),
    ...(onlyCopies > 0 ? [`${countOf(onlyCopies)} only copy there`] : []),
  ];
  if (losses.length === 0) return;
  throw new GfsError(
    "Conflict",
    `Site ${site} was not removed: ${losses.join(", and ")}. Add or fill another site first, or say that you mean it, with \`--force\` or \`?force=true\`.`,
    { op: "coordinator.sites", retry: "never", context: { site, noPrimaryLeft, onlyCopies } },
  );
}

function countOf(onlyCopies: number): string {
  if (onlyCopies === 1) return "1 object has its";
  return `${onlyCopies < MOST_COUNTED ? "" : "at least "}${onlyCopies} objects have their`;
}
