import type { ChangeLine } from "../../../coordinator/index.ts";
import type { FilePath } from "../../../core/ids.ts";
import type { RequestAccess } from "./request-access.ts";

/** What a key is told of changes: those of names that it may list. A rename out of its sight is a removal, and one into it a creation. */
export async function visibleChange(
  change: ChangeLine,
  maySee: (path: FilePath) => Promise<boolean>,
): Promise<ChangeLine | undefined> {
  const sees = await maySee(change.path);
  const { from, ...rest } = change;
  if (from === undefined) return sees ? change : undefined;
  const saw = await maySee(from);
  if (sees) return saw ? change : { ...rest, kind: "created" };
  return saw ? { ...rest, kind: "removed", path: from } : undefined;
}

/** Asks once for each directory; for one page, since what may be listed can change. */
export function createNameGate(access: RequestAccess): (path: FilePath) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>();
  return async (path) => {
    const slash = path.lastIndexOf("/");
    const directory = slash === -1 ? path : path.slice(0, slash + 1);
    const allowed = known.get(directory) ?? (slash === -1 ? mayKnowTop(access, path) : access.mayList(directory));
    known.set(directory, allowed);
    return await allowed;
  };
}

/** At the top there are buckets, and perhaps objects. */
async function mayKnowTop(access: RequestAccess, name: string): Promise<boolean> {
  return (await access.mayRead(name)) || (await access.mayList(`${name}/`));
}
