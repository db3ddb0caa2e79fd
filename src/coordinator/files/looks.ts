import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import { type FilePath, ROOT_INODE } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { isNameable, posix } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import type { Kit } from "../kit.ts";
import type { Answer, FileAttributes, FileService } from "../service/service.ts";
import { asked } from "./asked.ts";
import { pathAt } from "./changing.ts";

/** What is asked of the tree. Only a name that the catalog does not know is asked of the sites, too. */

type Looks = Pick<
  FileService,
  "walk" | "lookup" | "getattr" | "access" | "readlink" | "readdir" | "readdirplus" | "getxattr" | "listxattr"
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
    readlink: (_ctx, inode) => read((tx) => posix.readlink(tx, inode)),
    readdir: (_ctx, request) => read((tx) => asked.readdir(tx, request)),
    readdirplus: (_ctx, request) => read((tx) => asked.readdirplus(tx, request)),
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

/** Without a promise where no site can have it. */
function lookAtSites(
  kit: Kit,
  ctx: Ctx,
  request: Parameters<FileService["lookup"]>[1],
): Answer<FileAttributes | undefined> {
  if (kit.sites.list().every(({ foreign }) => foreign === "ignore")) return undefined;
  return (async () => {
    const path = await readCatalog(kit.kv, (tx) => pathAt(tx, request));
    if (!isNameable(path) || !(await adopts(kit, ctx, path))) return undefined;
    return await readCatalog(kit.kv, (tx) => asked.lookup(tx, request));
  })();
}

async function adopts(kit: Kit, ctx: Ctx, path: FilePath): Promise<boolean> {
  return (await adoptFromSites(kit, ctx, path)) !== undefined;
}
