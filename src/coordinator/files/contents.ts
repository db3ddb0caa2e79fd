import { LRUCache } from "lru-cache";
import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { Inode, VersionId } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { type FileVersion, findByInode, findOwner, findVersion, posix } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Kit } from "../kit.ts";
import { type Content, openContent } from "../reading/read.ts";
import type { FileContent, FileService, OpenedRange, ReadContent } from "../service/service.ts";
import { nameFor, writeContent } from "./write-content.ts";

/** What is in files, by inode and version. */

/** Versions that were opened and may be replaced since: where their copies lay. */
const REMEMBERED = 4_096;
/** A file may be renamed, or written, while it is looked for. */
const MOST_LOOKS = 4;

type Contents = Pick<FileService, "content" | "read" | "commit">;

export function createContents(kit: Kit): Contents {
  const remembered = new LRUCache<string, FileVersion>({ max: REMEMBERED });
  const keyOf = (inode: Inode, versionId: string): string => `${inode}/${versionId}`;

  const contentOf = (version: FileVersion | undefined, inode: Inode): FileContent => {
    if (version === undefined) return { versionId: "none", sizeBytes: 0 };
    remembered.set(keyOf(inode, version.id), version);
    return { versionId: version.id, sizeBytes: version.sizeBytes };
  };

  return {
    content(_ctx, { inode, who }) {
      const version = readCatalog(kit.kv, function* (tx): Program<FileVersion | undefined> {
        const { kind } = yield* posix.getattr(tx, inode);
        if (kind !== "file")
          throw new GfsError(kind === "directory" ? "IsADirectory" : "InvalidArgument", "Only files have content.");
        if (who !== undefined) yield* posix.checked.access(tx, who, inode, posix.READ);
        return (yield* findByInode(tx, inode))?.version;
      });
      return version instanceof Promise ? version.then((found) => contentOf(found, inode)) : contentOf(version, inode);
    },
    async read(ctx, request) {
      const known = remembered.get(keyOf(request.inode, request.versionId));
      return await readVersion(kit, ctx, request, known);
    },
    commit: async (ctx, request) => await writeContent(kit, ctx, request),
  };
}

async function readVersion(
  kit: Kit,
  ctx: Ctx,
  request: ReadContent,
  known: FileVersion | undefined,
): Promise<OpenedRange> {
  const { range, versionId, inode } = request;
  if (versionId === "none") return await openContent(kit, ctx, { path: NOWHERE, inode, version: undefined }, range);
  for (let look = 1; ; look++) {
    const found = await readCatalog(kit.kv, (tx) => findContent(tx, { ...request, versionId, known }));
    if (found === undefined) throw stale(request);
    try {
      return await openContent(kit, ctx, found, range);
    } catch (error) {
      if (!isGfsError(error, "Conflict")) throw error;
      if (look === MOST_LOOKS || found.version === known) throw stale(request, error);
    }
  }
}

const NOWHERE = "" as Content["path"];

interface Sought extends ReadContent {
  readonly versionId: VersionId;
  readonly known: FileVersion | undefined;
}

/** Where the very version is: in the file, in a history, or nowhere but where its copies lay. */
function* findContent(tx: Reader, { inode, versionId, who, known }: Sought): Program<Content | undefined> {
  const file = yield* findByInode(tx, inode);
  if (who !== undefined) yield* posix.checked.access(tx, who, inode, posix.READ);
  if (file?.version?.id === versionId) {
    const holder = file.linkCount === 0 ? { holder: inode } : {};
    return { path: yield* nameFor(tx, file), inode, version: file.version, ...holder };
  }
  const path = file === undefined ? NOWHERE : yield* nameFor(tx, file);
  const kept = (yield* findHolder(tx, versionId, known)) ?? (yield* findOlder(tx, path, versionId));
  if (kept !== undefined) return { path, inode: kept.holder, ...kept };
  return known === undefined ? undefined : { path, inode, version: known, holder: inode };
}

type Held = Required<Pick<Content, "holder">> & { readonly version: FileVersion };

/** Who owns its objects by now. */
function* findHolder(tx: Reader, versionId: VersionId, known: FileVersion | undefined): Program<Held | undefined> {
  for (const { site, key } of known?.copies ?? []) {
    const owner = yield* findOwner(tx, site, key);
    if (owner?.versionId !== versionId) continue;
    const version = (yield* findByInode(tx, owner.inode))?.version;
    if (version?.id === versionId) return { holder: owner.inode, version };
  }
  return undefined;
}

function* findOlder(tx: Reader, path: Content["path"], versionId: VersionId): Program<Held | undefined> {
  if (path === NOWHERE) return undefined;
  const found = yield* findVersion(tx, path, versionId);
  if (found?.kind !== "older" || found.file.version === undefined) return undefined;
  return { holder: found.file.inode, version: found.file.version };
}

function stale({ inode, versionId }: ReadContent, cause?: unknown): GfsError {
  return new GfsError(
    "PreconditionFailed",
    "The file has other content by now, and nobody keeps what was opened; open it again.",
    { op: "coordinator.read", context: { inode, versionId }, cause },
  );
}
