import type { Consistency } from "../core/consistency.ts";
import type { Inode } from "../core/ids.ts";
import type { Kv, Program, Reader } from "../kv/index.ts";
import { pathOf, type Touch } from "../namespace/index.ts";
import type { Router } from "../placement/index.ts";
import { readCatalog } from "./catalog-view.ts";

/** What is promised of what a change touches: the strictest that any rule says of it. */

const STRICTEST: readonly Consistency[] = ["strict", "close-to-open", "eventual"];

export interface Rules {
  readonly kv: Kv;
  readonly router: Pick<Router, "consistencyOf">;
}

export async function modeOf({ kv, router }: Rules, touches: readonly Touch[]): Promise<Consistency> {
  // What happens to a directory itself is of the names in it, where there are any.
  const named = touches.filter((touch) => touch.parent !== undefined);
  const paths = await readCatalog(kv, (tx) => pathsOf(tx, named.length === 0 ? touches : named));
  const modes = new Set(paths.map((path) => router.consistencyOf(path)));
  return STRICTEST.find((mode) => modes.has(mode)) ?? "close-to-open";
}

/** As they are now. What has no path any more is told of by the name that it lost. */
function* pathsOf(tx: Reader, touches: readonly Touch[]): Program<string[]> {
  const above = new Map<Inode, string | undefined>();
  const paths: string[] = [];
  for (const touch of touches) {
    const at = "name" in touch ? touch.parent : touch.inode;
    if (!above.has(at)) above.set(at, yield* pathOf(tx, at));
    const path = above.get(at);
    if (path === undefined) continue;
    if (!("name" in touch)) paths.push(path);
    else paths.push(path === "" ? touch.name : `${path}/${touch.name}`);
  }
  return paths;
}
