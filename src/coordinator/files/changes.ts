import type { Ctx } from "../../core/context.ts";
import { throwIfAborted } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath, SiteName } from "../../core/ids.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { type FileRecord, isNameable, posix } from "../../namespace/index.ts";
import { publishWhereItHangs } from "../copies/publishing.ts";
import { type DirectoryMove, makeRoomForMove, recordMove, settleMoved } from "../foreign/moved.ts";
import { takeInNames } from "../foreign/take-in.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import type { FileAttributes, FileService, Order } from "../service/service.ts";
import { readCatalog } from "../catalog-view.ts";
import { asked } from "./asked.ts";
import { change, type Changing, type Maker, pathAt, removeLeft } from "./changing.ts";
import { releaseSession, removeReleased } from "./open-files.ts";

/** Names that come, go and move, and what stat(2) tells: each change in one transaction with the jobs that it leaves. */

type Changes = Pick<
  FileService,
  | "mknod"
  | "mkdir"
  | "symlink"
  | "link"
  | "unlink"
  | "rmdir"
  | "rename"
  | "exchange"
  | "setattr"
  | "setxattr"
  | "removexattr"
  | "release"
  | "endSession"
>;

export function createChanges(kit: Kit): Changes {
  const take = async <T>(ctx: Ctx, program: Changing<T>): Promise<T> => {
    throwIfAborted(ctx, "coordinator.files");
    return await change(kit, program);
  };
  /** It needs room in the catalog. */
  const add = async <T>(ctx: Ctx, program: Changing<T>): Promise<T> => {
    kit.assertCatalogSpace();
    return await take(ctx, program);
  };
  /** It leaves jobs. */
  const waking = async <T>(work: Promise<T>): Promise<T> => {
    const result = await work;
    kit.mover.wake();
    return result;
  };

  return {
    mknod: async (ctx, request) => await add(ctx, (tx, maker) => asked.mknod(tx, { ...request, ...maker })),
    mkdir: async (ctx, request) => await add(ctx, (tx, maker) => asked.mkdir(tx, { ...request, ...maker })),
    symlink: async (ctx, request) => await add(ctx, (tx, maker) => asked.symlink(tx, { ...request, ...maker })),
    link: async (ctx, request) => await add(ctx, (tx, { now }) => asked.link(tx, { ...request, now })),
    async unlink(ctx, request) {
      await settleNames(kit, ctx, request);
      return await waking(take(ctx, (tx, maker, programs) => unlink(tx, programs, request, maker)));
    },
    async rmdir(ctx, request) {
      await takeInTarget(kit, ctx, request);
      return await take(ctx, (tx, { now }) => asked.rmdir(tx, { ...request, now }));
    },
    async rename(ctx, request) {
      await makeRoomForMove(kit, ctx);
      await settleNames(kit, ctx, request.from, request.to);
      await takeInTarget(kit, ctx, request.to);
      return await waking(add(ctx, (tx, maker, programs) => rename(tx, programs, request, maker)));
    },
    async exchange(ctx, request) {
      await makeRoomForMove(kit, ctx);
      await settleNames(kit, ctx, request.one, request.other);
      return await waking(add(ctx, (tx, maker, programs) => exchange(tx, programs, request, maker)));
    },
    setattr: async (ctx, request) => await add(ctx, (tx, { now }) => asked.setattr(tx, { ...request, now })),
    setxattr: async (ctx, request) => await add(ctx, (tx, { now }) => asked.setxattr(tx, { ...request, now })),
    removexattr: async (ctx, request) => await take(ctx, (tx, { now }) => asked.removexattr(tx, { ...request, now })),
    release: async (_ctx, request) =>
      await waking(
        change(kit, function* (tx, maker, programs): Program<void> {
          yield* removeReleased(tx, programs, yield* posix.releaseOrphan(tx, { ...request, ...maker }), maker.now.ms);
        }),
      ),
    endSession: async ({ signal }, { session }) => void (await waking(releaseSession(kit, session, signal))),
  };
}

async function settleNames(kit: Kit, ctx: Ctx, ...names: readonly posix.Child[]): Promise<void> {
  for (const name of names) await settleMoved(kit, ctx, await readCatalog(kit.kv, (tx) => pathAt(tx, name)));
}

const GLANCE = 100;

/** A directory that is to go is not empty while a site has something in it. */
async function takeInTarget(kit: Kit, ctx: Ctx, name: posix.Child): Promise<void> {
  const found = await readCatalog(kit.kv, function* (tx): Program<FilePath | undefined> {
    const there = yield* posix.lookup(tx, name);
    return there?.kind === "directory" ? yield* pathAt(tx, name) : undefined;
  });
  if (found === undefined || !isNameable(found)) return;
  const { failed } = await takeInNames(kit, ctx, { path: found, limit: GLANCE });
  const silent = failed.find(({ site }) => kit.sites.find(site as SiteName)?.role === "primary");
  if (silent === undefined) return;
  throw new GfsError(
    "Unavailable",
    `Nobody can tell whether ${found} is empty: site ${silent.site} does not answer; try again when it does.`,
    { op: "coordinator.files", context: { path: found, site: silent.site } },
  );
}

function* unlink(
  tx: Transaction,
  kit: ProgramKit,
  request: Order<posix.Unlink>,
  maker: Maker,
): Program<FileAttributes> {
  const path = yield* pathAt(tx, request);
  const { file, orphans } = yield* asked.unlink(tx, { ...request, ...maker });
  const versionId = file.version?.id ?? maker.tombstoneVersionId;
  yield* removeLeft(tx, kit, { path, inode: file.inode, versionId, orphans, now: maker.now });
  if (file.linkCount > 1) yield* publishWhereItHangs(tx, kit, { inode: file.inode, nowMs: maker.now.ms });
  return attributesOf(file);
}

function* rename(
  tx: Transaction,
  kit: ProgramKit,
  request: Order<posix.Rename>,
  maker: Maker,
): Program<FileAttributes> {
  const [from, to] = [yield* pathAt(tx, request.from), yield* pathAt(tx, request.to)];
  const before = yield* posix.lookup(tx, request.to);
  const { moved, orphans } = yield* asked.rename(tx, { ...request, ...maker });
  const { inode } = moved;
  yield* removeLeft(tx, kit, { path: to, inode, versionId: maker.tombstoneVersionId, orphans, now: maker.now });
  yield* follow(tx, kit, moved, { from, to, nowMs: maker.now.ms });
  // What has lost this name may have others.
  if (before?.kind === "file") yield* publishWhereItHangs(tx, kit, { inode: before.inode, nowMs: maker.now.ms });
  return attributesOf(moved);
}

function* exchange(
  tx: Transaction,
  kit: ProgramKit,
  request: Order<posix.Exchange>,
  maker: Maker,
): Program<{ readonly one: FileAttributes; readonly other: FileAttributes }> {
  const [path, otherPath] = [yield* pathAt(tx, request.one), yield* pathAt(tx, request.other)];
  const { one, other, orphans } = yield* asked.exchange(tx, { ...request, ...maker });
  const { inode } = one;
  yield* removeLeft(tx, kit, { path, inode, versionId: maker.tombstoneVersionId, orphans, now: maker.now });
  const nowMs = maker.now.ms;
  if (one.kind === "directory" && other.kind === "directory") {
    // In three steps, as what is said of one after another is replayed.
    const aside = `${ASIDE}${one.inode}` as FilePath;
    yield* follow(tx, kit, other, { from: path, to: aside, nowMs });
    yield* follow(tx, kit, one, { from: otherPath, to: path, nowMs });
    yield* follow(tx, kit, other, { from: aside, to: otherPath, nowMs });
  } else {
    yield* follow(tx, kit, one, { from: otherPath, to: path, nowMs });
    yield* follow(tx, kit, other, { from: path, to: otherPath, nowMs });
  }
  return { one: attributesOf(one), other: attributesOf(other) };
}

/** No name of a tree begins so. */
const ASIDE = ".globalfs/exchanged/";

/** The objects come after what was moved. */
function* follow(
  tx: Transaction,
  kit: ProgramKit,
  { inode, kind }: FileRecord,
  { from, to, nowMs }: Omit<DirectoryMove, "inode">,
): Program<void> {
  if (kind !== "directory") yield* publishWhereItHangs(tx, kit, { inode, nowMs });
  else if (from !== to) yield* recordMove(tx, kit, { from, to, inode, nowMs });
}

function attributesOf(file: FileRecord): FileAttributes {
  const { version: _, ...attributes } = file;
  return attributes;
}
