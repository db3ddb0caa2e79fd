import { GfsError } from "../../../core/errors.ts";
import { compareKeys } from "../../object-key.ts";
import type { ListPage, ListQuery, ObjectInfo } from "../../store.ts";
import type { MemoryContent, StoredObject } from "./content.ts";

export function listObjects(content: MemoryContent, query: ListQuery): ListPage {
  if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > 1_000) {
    throw new GfsError("InvalidArgument", `A list page has 1 to 1,000 entries, not ${query.limit}.`, {
      op: "store.list",
    });
  }
  const sorted = content.keys;
  const prefix = query.prefix ?? "";
  const after =
    query.continuation === undefined ? query.after : Buffer.from(query.continuation, "base64url").toString();
  const objects: ObjectInfo[] = [];
  const prefixes: string[] = [];
  let last: string | undefined;
  for (
    let index = lowerBound(sorted, after !== undefined && compareKeys(after, prefix) > 0 ? after : prefix);
    index < sorted.length;
    index++
  ) {
    const key = sorted[index] as string;
    if (!key.startsWith(prefix)) break;
    if (after !== undefined && compareKeys(key, after) <= 0) continue;
    const slash = query.delimiter === undefined ? -1 : key.indexOf("/", prefix.length);
    const rolled = slash === -1 ? undefined : key.slice(0, slash + 1);
    if (rolled !== undefined && (rolled === prefixes.at(-1) || rolled === after)) continue;
    if (objects.length + prefixes.length === query.limit) {
      return { objects, prefixes, continuation: Buffer.from(last as string).toString("base64url") };
    }
    if (rolled === undefined) objects.push((content.find(key) as StoredObject).info);
    else prefixes.push(rolled);
    last = rolled ?? key;
  }
  return { objects, prefixes };
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(sorted[middle] as string, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
