import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath, Inode } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { type FileRecord, findByInode, pathOf, posix } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { abortAll } from "../copies/landing.ts";
import { chooseLandings } from "../copies/object-keys.ts";
import type { Kit } from "../kit.ts";
import { commitContent } from "../objects/commit-write.ts";
import { type Body, stageBody, tooLarge } from "../objects/stage-body.ts";
import type { CommitContent, CommittedContent, FileAttributes } from "../service/service.ts";

/** Content that comes to an inode. It lands where nothing lies and is committed as a PUT is; only which file it becomes the content of is said by inode. */
export async function writeContent(kit: Kit, ctx: Ctx, request: CommitContent): Promise<CommittedContent> {
  const { inode, expect, epoch, modified, who, sizeBytes } = request;
  kit.assertCatalogSpace();
  if (sizeBytes !== undefined && sizeBytes > kit.settings.maxObjectBytes) throw tooLarge(kit);
  const { file, path } = await readCatalog(kit.kv, (tx) => lookAt(tx, request));
  assertExpected(file, expect);
  posix.assertEpoch(file, request);
  const plan = kit.router.planWrite(path);
  if (plan.required.length === 0)
    throw new GfsError("Unavailable", `No site takes writes for ${path}; add a primary site, or change the rule.`);
  const versionId = kit.nextVersionId();
  const targets = await readCatalog(kit.kv, (tx) =>
    chooseLandings(tx, { path, sites: plan.required, inode, versionId }),
  );
  const body: Body = { ...keptOf(file), body: request.body, ...(sizeBytes === undefined ? {} : { sizeBytes }) };
  const staged = await stageBody(kit, ctx, { body, targets, versionId, path, file });
  const nowMs = kit.clock.nowMs();
  try {
    const onto = {
      inode,
      expect,
      ...(epoch === undefined ? {} : { epoch }),
      ...(modified === undefined ? {} : { modified }),
    };
    const written = await commitContent(kit, ctx, {
      ...staged,
      ...plan,
      conditions: undefined,
      path,
      onto,
      also: (tx) => dropSetIds(tx, inode, { who, nowMs }),
    });
    const attributes = await readCatalog(kit.kv, (tx) => posix.getattr(tx, inode));
    return { attributes, versionId, pendingSites: written.pendingSites };
  } catch (error) {
    await abortAll(staged.writes);
    throw toGfsError(error, "coordinator.commit");
  }
}

interface Seen {
  readonly file: FileRecord;
  readonly path: FilePath;
}

function* lookAt(tx: Reader, { inode, who }: CommitContent): Program<Seen> {
  const file = yield* findByInode(tx, inode);
  if (file === undefined) throw new GfsError("NotFound", "The file is not there any more.", { context: { inode } });
  if (file.kind !== "file")
    throw new GfsError(file.kind === "directory" ? "IsADirectory" : "InvalidArgument", "Only files have content.");
  if (who !== undefined) yield* posix.checked.access(tx, who, inode, posix.WRITE);
  return { file, path: yield* nameFor(tx, file) };
}

/** What sites and rules are told of it: its path, or what no key can be where it has none. */
export function* nameFor(tx: Reader, { inode, linkCount }: FileAttributes): Program<FilePath> {
  const path = linkCount === 0 ? undefined : yield* pathOf(tx, inode);
  return (path ?? `.globalfs/unnamed/${inode}`) as FilePath;
}

/** Said before the body has come; the transaction looks again. */
function assertExpected({ version }: FileRecord, expect: CommitContent["expect"]): void {
  if (expect === "any" || (version?.id ?? "none") === expect) return;
  throw new GfsError("Conflict", "Another writer changed the file meanwhile; read it again and retry.", {
    op: "coordinator.commit",
  });
}

/** It is the same object with other bytes. A lock is of the version that it was given to. */
function keptOf({ version }: FileRecord): Omit<Body, "body"> {
  if (version === undefined) return {};
  const { contentType, metadata, details = {} } = version;
  const { contentHeaders, owner, labels: { lock: _, ...labels } = {} } = details;
  return {
    metadata,
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(owner === undefined ? {} : { owner }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

interface Writer {
  readonly who: posix.Credentials | undefined;
  readonly nowMs: number;
}

/** write(2): what others than root have written does not run as its owner. */
function* dropSetIds(tx: Transaction, inode: Inode, { who, nowMs }: Writer): Program<void> {
  if (who === undefined || who.uid === 0) return;
  const file = yield* posix.getattr(tx, inode);
  const mode = posix.withoutSetIds(file);
  if (mode !== file.mode) yield* posix.setattr(tx, { inode, mode, now: momentOf(nowMs) });
}
