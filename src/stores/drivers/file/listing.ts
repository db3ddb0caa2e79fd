import { LRUCache } from "lru-cache";
import { forEachBounded } from "../../../core/async/for-each.ts";
import { throwIfAborted, type Ctx } from "../../../core/context.ts";
import { fromErrno, GfsError } from "../../../core/errors.ts";
import type { Disk } from "../../../core/ports/disk.ts";
import { compareKeys } from "../../object-key.ts";
import type { ListPage, ListQuery, ObjectInfo } from "../../store.ts";
import { decodeName, placeOf, RESERVED } from "./disk-names.ts";
import { errnoOf } from "./failures.ts";
import type { Layout } from "./layout.ts";
import { ATTRIBUTE, decodeRecord, describeObject } from "./object-record.ts";

/** Walks the tree in key order, opening only directories that can hold a key of the page. */

interface Entry {
  /** A component; with a trailing slash for a directory, so that entries sort as keys do. */
  readonly name: string;
  readonly path: string;
  readonly directory: boolean;
}

/** Large directories are read once and remembered until they change: a page must not cost the whole directory. */
const MAX_REMEMBERED = 256;
const MAX_REMEMBERED_ENTRIES = 200_000;
const WORTH_REMEMBERING = 50;
const PARALLEL_STATS = 16;

export class DirectoryReader {
  readonly #disk: Disk;
  /** The one that is listed right now stays, however large it is: a page of it must not cost all of it. */
  readonly #remembered = new LRUCache<string, { readonly identity: string; readonly entries: readonly Entry[] }>({
    max: MAX_REMEMBERED,
    maxSize: MAX_REMEMBERED_ENTRIES,
    sizeCalculation: ({ entries }) => Math.min(entries.length, MAX_REMEMBERED_ENTRIES),
  });

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** After a change of our own: the time of a directory may be too coarse to tell. */
  forget(path: string): void {
    this.#remembered.delete(path);
  }

  clear(): void {
    this.#remembered.clear();
  }

  async read(path: string, isRoot: boolean): Promise<readonly Entry[]> {
    const known = this.#remembered.get(path);
    const { identity } = await this.#disk.stat(path);
    if (known?.identity === identity) return known.entries;
    const entries = await this.#load(path, isRoot, undefined);
    entries.sort((one, other) => compareKeys(one.name, other.name));
    const unique = withoutShadowed(entries);
    if (unique.length >= WORTH_REMEMBERING) this.#remembered.set(path, { identity, entries: unique });
    else this.forget(path);
    return unique;
  }

  async #load(path: string, isRoot: boolean, before: Buffer | undefined): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const { name, kind } of await this.#disk.readDirectory(path)) {
      if (kind === "other" || (isRoot && name === RESERVED)) continue;
      const decoded = decodeName(name, kind, before);
      if (decoded === undefined) continue;
      const inside = `${path}/${name}`;
      if (decoded.kind === "piece") entries.push(...(await this.#load(inside, false, decoded.bytes)));
      else if (decoded.kind === "object") entries.push({ name: decoded.component, path: inside, directory: false });
      else entries.push({ name: `${decoded.component}/`, path: inside, directory: true });
    }
    return entries;
  }
}

/** A plain file hides one of the same key that a crash left beside it. */
function withoutShadowed(sorted: readonly Entry[]): Entry[] {
  const kept: Entry[] = [];
  for (const entry of sorted) {
    const last = kept.at(-1);
    if (last?.name !== entry.name) kept.push(entry);
    else if (entry.path.length < last.path.length) kept[kept.length - 1] = entry;
  }
  return kept;
}

interface Frame {
  readonly keyPrefix: string;
  readonly entries: readonly Entry[];
  index: number;
}

export interface ListDeps {
  readonly disk: Disk;
  readonly layout: Layout;
  readonly reader: DirectoryReader;
}

export async function listObjects(deps: ListDeps, ctx: Ctx, query: ListQuery): Promise<ListPage> {
  if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > 1_000) {
    throw new GfsError("InvalidArgument", `A list page has 1 to 1,000 entries, not ${query.limit}.`, {
      op: "store.list",
    });
  }
  try {
    const walk = new Walk(deps, ctx, query);
    await walk.run();
    const page = await walk.page();
    // Afterwards: a disk that went away on the way makes what lay on it seem absent as well.
    await deps.layout.assertMounted("store.list");
    return page;
  } catch (error) {
    throw fromErrno(error, "store.list");
  }
}

function keyOfContinuation(continuation: string): string {
  const text = Buffer.from(continuation, "base64url").toString();
  if (!text.startsWith("k:"))
    throw new GfsError("InvalidArgument", "The continuation is not one of this site's.", { op: "store.list" });
  return text.slice(2);
}

class Walk {
  readonly #deps: ListDeps;
  readonly #ctx: Ctx;
  readonly #query: ListQuery;
  readonly #prefix: string;
  readonly #limit: number;
  readonly #rollUp: boolean;
  readonly #after: string | undefined;
  readonly #found: { readonly key: string; readonly path: string }[] = [];
  readonly #prefixes: string[] = [];
  #last: string | undefined;
  #more = false;

  constructor(deps: ListDeps, ctx: Ctx, query: ListQuery) {
    this.#deps = deps;
    this.#ctx = ctx;
    this.#query = query;
    this.#prefix = query.prefix ?? "";
    this.#limit = query.limit;
    this.#rollUp = query.delimiter === "/";
    this.#after = query.continuation === undefined ? query.after : keyOfContinuation(query.continuation);
  }

  /** Objects may vanish between the walk and the look at them; they are left out. */
  async page(): Promise<ListPage> {
    const { isKnown } = this.#query;
    const known = isKnown === undefined ? [] : this.#found.filter(({ key }) => isKnown(key)).map(({ key }) => key);
    const asked = isKnown === undefined ? this.#found : this.#found.filter(({ key }) => !isKnown(key));
    const infos: (ObjectInfo | undefined)[] = Array.from({ length: asked.length });
    await forEachBounded(asked, PARALLEL_STATS, async ({ key, path }, index) => {
      try {
        const { stat, attribute } = await this.#deps.disk.inspect(path, ATTRIBUTE);
        if (stat.kind === "file") infos[index] = describeObject(key, stat, decodeRecord(attribute, stat));
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw error;
      }
    });
    return {
      objects: infos.filter((info) => info !== undefined),
      prefixes: this.#prefixes,
      ...(isKnown === undefined ? {} : { known }),
      ...(this.#more && this.#last !== undefined
        ? { continuation: Buffer.from(`k:${this.#last}`).toString("base64url") }
        : {}),
    };
  }

  async run(): Promise<void> {
    const slash = this.#prefix.lastIndexOf("/");
    const basePrefix = this.#prefix.slice(0, slash + 1);
    const stack: Frame[] = [];
    await this.#enter(stack, basePrefix, this.#pathOfPrefix(basePrefix));
    while (stack.length > 0) {
      throwIfAborted(this.#ctx, "store.list");
      const frame = stack.at(-1) as Frame;
      const entry = frame.entries[frame.index++];
      if (entry === undefined) stack.pop();
      else if (!(await this.#visit(stack, frame.keyPrefix + entry.name, entry))) return;
    }
  }

  #pathOfPrefix(basePrefix: string): string {
    const { root } = this.#deps.layout;
    if (basePrefix === "") return root;
    const { directories } = placeOf(`${basePrefix}x`);
    return `${root}/${directories.join("/")}`;
  }

  async #enter(stack: Frame[], keyPrefix: string, path: string): Promise<void> {
    let entries: readonly Entry[];
    try {
      entries = await this.#deps.reader.read(path, keyPrefix === "");
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== "ENOENT" && errno !== "ENOTDIR" && errno !== "ELOOP") throw error;
      return;
    }
    stack.push({ keyPrefix, entries, index: this.#firstIndex(keyPrefix, entries) });
  }

  /** Skips to the first entry that can hold a key after `after` and within the prefix. */
  #firstIndex(keyPrefix: string, entries: readonly Entry[]): number {
    const bounds: string[] = [];
    if (this.#prefix.startsWith(keyPrefix)) bounds.push(this.#prefix.slice(keyPrefix.length));
    if (this.#after?.startsWith(keyPrefix) === true) {
      const rest = this.#after.slice(keyPrefix.length);
      const slash = rest.indexOf("/");
      bounds.push(slash === -1 ? rest : rest.slice(0, slash + 1));
    }
    let index = 0;
    for (const bound of bounds) index = Math.max(index, lowerBound(entries, bound));
    return index;
  }

  async #visit(stack: Frame[], key: string, entry: Entry): Promise<boolean> {
    const within = key.startsWith(this.#prefix) || (entry.directory && this.#prefix.startsWith(key));
    if (!within) return compareKeys(key, this.#prefix) < 0;
    if (entry.directory) {
      if (!this.#rollUp || key.length <= this.#prefix.length) {
        if (
          this.#after === undefined ||
          key.startsWith(this.#after) ||
          compareKeys(key, this.#after) > 0 ||
          this.#after.startsWith(key)
        ) {
          await this.#enter(stack, key, entry.path);
        }
        return true;
      }
      return await this.#rollUpDirectory(key);
    }
    if (this.#after !== undefined && compareKeys(key, this.#after) <= 0) return true;
    if (!this.#room()) return false;
    this.#found.push({ key, path: entry.path });
    this.#last = key;
    return true;
  }

  async #rollUpDirectory(key: string): Promise<boolean> {
    const after = this.#after;
    if (after === key) return true;
    if (after !== undefined && !after.startsWith(key) && compareKeys(key, after) <= 0) return true;
    // An empty directory holds no key, and one whose keys are all behind `after` neither.
    const inside = new Walk(this.#deps, this.#ctx, {
      prefix: key,
      limit: 1,
      ...(after === undefined ? {} : { after }),
    });
    await inside.run();
    if (inside.#found.length === 0) return true;
    if (!this.#room()) return false;
    this.#prefixes.push(key);
    this.#last = key;
    return true;
  }

  #room(): boolean {
    if (this.#found.length + this.#prefixes.length < this.#limit) return true;
    this.#more = true;
    return false;
  }
}

function lowerBound(entries: readonly Entry[], name: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys((entries[middle] as Entry).name, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
