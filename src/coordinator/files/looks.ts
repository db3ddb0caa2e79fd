import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import { type FilePath, ROOT_INODE } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { isNameable, pathOf, posix } from "../../namespace/index.ts";
import { compareKeys } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import { takeInDirectory, takeInNames } from "../foreign/take-in.ts";
import type { Kit } from "../kit.ts";
import type { Answer, FileAttributes, FileService, Names } from "../service/service.ts";
import { asked } from "./asked.ts";
import { pathAt } from "./changing.ts";
import { treeSpace } from "./space.ts";

/** What is asked of the tree. Only a name that the catalog does not know is asked of the sites, too. */

type Looks = Pick<
  FileService,
  | "walk"
  | "lookup"
  | "getattr"
  | "access"
  | "readlink"
  | "statfs"
  | "readdir"
  | "readdirplus"
  | "getxattr"
  | "listxattr"
>;

export function createLooks(kit: Kit): Looks {
  const read = <T>(program: (tx: Reader) => Program<T>): Answer<T> => readCatalog(kit.kv, program);

  return {
    walk: async (ctx, request) => await walk(kit, ctx, request),
    lookup(ctx, request) {
      const known = read((tx) => asked.lookup(tx, request));
      if (!(known instanceof Promise)) return known ?? lookAtSites(kit, ctx, request);
      return known.then(async (found) => found ?? (await lookAtSites(kit, ctx, request)));
    },
    getattr: (_ctx, inode) => read((tx) => posix.getattr(tx, inode)),
    access: (_ctx, { who, inode, wanted }) =>
      read(function* (tx): Program<void> {
        yield* posix.checked.access(tx, who, inode, wanted);
      }),
    statfs: async (ctx, inode) => await treeSpace(kit, ctx, inode),
    readlink: (_ctx, inode) => read((tx) => posix.readlink(tx, inode)),
    readdir: (ctx, request) => readDirectory(kit, ctx, request, (tx) => asked.readdir(tx, request)),
    readdirplus: (ctx, request) => readDirectory(kit, ctx, request, (tx) => asked.readdirplus(tx, request)),
    getxattr: (_ctx, request) => read((tx) => asked.getxattr(tx, request)),
    listxattr: (_ctx, request) => read((tx) => asked.listxattr(tx, request)),
  };
}

async function walk(kit: Kit, ctx: Ctx, request: posix.Walk): Promise<posix.Walked> {
  const again = async (): Promise<posix.Walked> => await readCatalog(kit.kv, (tx) => posix.walk(tx, request));
  const { path, from = ROOT_INODE, last } = request;
  const key = path.replace(/^\/+/, "");
  /** Where no link leads elsewhere the path as it is written is a key at the sites. */
  const isKey = last !== "name" && from === ROOT_INODE && isNameable(key) && !key.endsWith("/");
  try {
    const walked = await again();
    if (walked.file !== undefined || !isKey) return walked;
    return (await adopts(kit, ctx, key as FilePath)) ? await again() : walked;
  } catch (error) {
    if (!isKey || !isGfsError(error, "NotFound") || !(await adopts(kit, ctx, key as FilePath))) throw error;
    return await again();
  }
}

type Page<Entry> = (tx: Reader) => Program<posix.DirectoryPage<Entry>>;

/** Who may not read it hears so before any site is asked. */
function readDirectory<Entry extends posix.DirectoryEntry>(
  kit: Kit,
  ctx: Ctx,
  request: posix.ReadDirectory,
  page: Page<Entry>,
): Answer<Names<Entry>> {
  const known = readCatalog(kit.kv, page);
  return noSiteHasNames(kit) ? known : readMerged(kit, ctx, request, { page, known });
}

function noSiteHasNames(kit: Kit): boolean {
  return kit.sites.list().every(({ foreign }) => foreign === "ignore");
}

const MOST_AT_ONCE = 1_000;

async function readMerged<Entry extends posix.DirectoryEntry>(
  kit: Kit,
  ctx: Ctx,
  { inode, cookie, limit }: posix.ReadDirectory,
  { page, known }: { readonly page: Page<Entry>; readonly known: Answer<posix.DirectoryPage<Entry>> },
): Promise<Names<Entry>> {
  const listed = await known;
  const path = await readCatalog(kit.kv, (tx) => pathOf(tx, inode));
  if (path === undefined || (path !== "" && !isNameable(path))) return listed;
  for (let after = cookie; ;) {
    const names = { path, limit: Math.min(limit, MOST_AT_ONCE), ...(after === undefined ? {} : { after }) };
    const { upTo, failed } = await takeInNames(kit, ctx, names);
    const failedSites = failed.length === 0 ? {} : { failedSites: failed };
    const merged = await readCatalog(kit.kv, page);
    if (upTo === undefined) return { ...merged, ...failedSites };
    // Between the last of these and the names behind it a site may have more.
    const entries = merged.entries.filter((entry) => compareKeys(entry.cookie, upTo) <= 0);
    if (entries.length > 0) return { entries, isLast: false, ...failedSites };
    after = upTo;
  }
}

/** Without a promise where no site can have it. */
function lookAtSites(
  kit: Kit,
  ctx: Ctx,
  request: Parameters<FileService["lookup"]>[1],
): Answer<FileAttributes | undefined> {
  if (noSiteHasNames(kit)) return undefined;
  return (async () => {
    const path = await readCatalog(kit.kv, (tx) => pathAt(tx, request));
    if (!isNameable(path) || !(await adopts(kit, ctx, path))) return undefined;
    return await readCatalog(kit.kv, (tx) => asked.lookup(tx, request));
  })();
}

async function adopts(kit: Kit, ctx: Ctx, path: FilePath): Promise<boolean> {
  const file = await adoptFromSites(kit, ctx, path, { listingIsEnough: true });
  return file !== undefined || (await takeInDirectory(kit, ctx, path));
}
