import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import {
  type FileRecord,
  findFile,
  guessFile,
  type KnownDirectory,
  makeDirectory,
  noObjectLock,
  rulesOf,
} from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { abortAll } from "../copies/landing.ts";
import { chooseLandings, type KeyChoice, lookAhead, type Target } from "../copies/object-keys.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import { type Located, locate } from "../foreign/lookup.ts";
import type { Kit } from "../kit.ts";
import type { PutRequest, PutResult } from "../service/service.ts";
import { commitWrite } from "./commit-write.ts";
import { checkWriteConditions } from "./conditions.ts";
import { checkUserMetadata, describeFile } from "./object-meta.ts";
import { stageBody, tooLarge } from "./stage-body.ts";

const DIRECTORY_MODE = 0o755;

/**
 * Streams the body to all required sites at once, to keys where nothing lies; then one transaction makes it the file's, with the jobs for the other sites
 * and those that publish it. Before that nothing has happened: the old version stands, and its bytes lie where they lay.
 */
export async function putObject(kit: Kit, ctx: Ctx, request: PutRequest): Promise<PutResult> {
  const where = locate(request.key);
  kit.assertCatalogSpace();
  checkUserMetadata(request.metadata ?? {});
  if (request.sizeBytes !== undefined && request.sizeBytes > kit.settings.maxObjectBytes) throw tooLarge(kit);
  if (where.directory) return await putDirectory(kit, request, where);
  return await putFile(kit, ctx, request, where.path);
}

async function putDirectory(kit: Kit, request: PutRequest, where: Located): Promise<PutResult> {
  for await (const chunk of request.body) {
    if (chunk.byteLength > 0) {
      throw new GfsError(
        "InvalidKey",
        `${where.key} names a directory, which holds no bytes; leave out the trailing slash to store an object.`,
      );
    }
  }
  const nowMs = kit.clock.nowMs();
  const file = await kit.inodes.transact((tx, nextInode) =>
    makeDirectory(tx, {
      path: where.path,
      mode: DIRECTORY_MODE,
      uid: 0,
      gid: 0,
      parents: true,
      existing: "keep",
      nowMs,
      nextInode,
    }),
  );
  return { meta: describeFile(where.key, file), created: file.created.ms === nowMs, pendingSites: [] };
}

async function putFile(kit: Kit, ctx: Ctx, request: PutRequest, path: FilePath): Promise<PutResult> {
  const plan = kit.router.planWrite(path);
  if (plan.required.length === 0) {
    throw new GfsError(
      "Unavailable",
      `No site takes writes for ${path}; add a primary site or change the rule ${plan.rule ?? "order"}.`,
    );
  }
  const versionId = kit.nextVersionId();
  const look = async (): Promise<Look> =>
    await readCatalog(kit.kv, (tx) =>
      lookBefore(tx, request, { path, sites: plan.required, versionId, known: kit.directories.of(path) }),
    );
  let seen = await look();
  if (request.conditions !== undefined) {
    // A condition needs to know what the sites have; an unconditional write replaces it whatever it is.
    if (seen.file === undefined) {
      await adoptFromSites(kit, ctx, path);
      seen = await look();
    }
    checkWriteConditions(request.conditions, currentOf(seen.file));
  }
  const sizeBytes = request.sizeBytes ?? Number.POSITIVE_INFINITY;
  const targets = await lookAhead(ctx, seen.targets, {
    path,
    versionId,
    isMovable: ({ store }) => sizeBytes <= store.capabilities.movableBytes,
  });
  const staged = await stageBody(kit, ctx, { body: request, targets, versionId, path });
  try {
    return await commitWrite(kit, ctx, { ...staged, ...plan, conditions: request.conditions, path });
  } catch (error) {
    await abortAll(staged.writes);
    throw toGfsError(error, "coordinator.put");
  }
}

interface Look {
  /** Where conditions ask for it. */
  readonly file: FileRecord | undefined;
  readonly targets: readonly Target[];
}

interface LookBefore extends Omit<KeyChoice, "inode"> {
  readonly known: KnownDirectory | undefined;
}

/** Before the body comes in. Where nothing but the keys rests on it a guess is enough: what is written to the wrong ones comes to its path all the same. */
function* lookBefore(tx: Reader, { labels, conditions }: PutRequest, { known, ...choice }: LookBefore): Program<Look> {
  const { path } = choice;
  const file = conditions === undefined ? undefined : yield* findFile(tx, path);
  const inode = conditions === undefined ? yield* guessFile(tx, path, known) : file?.inode;
  if (labels?.lock !== undefined && !(yield* rulesOf(tx, path)).objectLock) throw noObjectLock();
  return { file, targets: yield* chooseLandings(tx, { ...choice, inode }) };
}

function currentOf(file: FileRecord | undefined): { etag: string; modifiedMs: number } | undefined {
  return file?.version === undefined ? undefined : { etag: file.version.etag, modifiedMs: file.version.createdMs };
}
