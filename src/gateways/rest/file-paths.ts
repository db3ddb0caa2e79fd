import type { CoordinatorService, FileAttributes } from "../../coordinator/index.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import { type Inode, ROOT_INODE } from "../../core/ids.ts";

/** From the paths of REST to inodes, one name after the other. No symbolic link is followed: a path is what it says, and so is the right to it. */

export interface Place {
  readonly parent: Inode;
  readonly name: string;
}

export async function getFile({ files }: CoordinatorService, ctx: Ctx, path: string): Promise<FileAttributes> {
  if (path === "") return await files.getattr(ctx, ROOT_INODE);
  let found: FileAttributes | undefined;
  try {
    found = await findFile(files, ctx, namesOf(path));
    // Of what lies in directories that only a site knows, the service has to ask with the whole path.
    if (found === undefined) await files.walk(ctx, { path: path.replace(/\/$/, ""), last: "itself" });
    found ??= await findFile(files, ctx, namesOf(path));
  } catch (error) {
    if (!isGfsError(error, "NotFound")) throw error;
  }
  if (found === undefined)
    throw new GfsError("NotFound", `There is no ${path}.`, { op: "rest.files", context: { path } });
  if (path.endsWith("/") && found.kind !== "directory") throw noDirectory(path);
  return found;
}

type Files = CoordinatorService["files"];

async function findFile(files: Files, ctx: Ctx, names: readonly string[]): Promise<FileAttributes | undefined> {
  let found: FileAttributes | undefined;
  let parent = ROOT_INODE;
  for (const name of names) {
    if (found !== undefined && found.kind !== "directory") throw noDirectory(names.join("/"));
    found = await files.lookup(ctx, { parent, name });
    if (found === undefined) return undefined;
    parent = found.inode;
  }
  return found;
}

/** Where a name is to be made, or taken away: its directory has to be there. */
export async function getPlace(service: CoordinatorService, ctx: Ctx, path: string): Promise<Place> {
  const names = namesOf(path);
  const name = names.pop() as string;
  const { inode: parent, kind } = await getFile(service, ctx, names.join("/"));
  if (kind !== "directory") throw noDirectory(path);
  return { parent, name };
}

export interface MakeDirectories {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const ABOVE_MODE = 0o755;

/** As `mkdir -p`: whatever of it is there stays as it is. */
export async function makeDirectories(
  { files }: CoordinatorService,
  ctx: Ctx,
  { path, ...last }: MakeDirectories,
): Promise<FileAttributes> {
  const names = namesOf(path);
  let parent = ROOT_INODE;
  let made: FileAttributes | undefined;
  for (const [index, name] of names.entries()) {
    const how = index === names.length - 1 ? last : { ...last, mode: ABOVE_MODE };
    made = await makeOrFind(files, ctx, { parent, name, ...how });
    if (made.kind !== "directory") throw noDirectory(path);
    parent = made.inode;
  }
  return made as FileAttributes;
}

/** Somebody may make it in the same moment. */
async function makeOrFind(files: Files, ctx: Ctx, request: Parameters<Files["mkdir"]>[1]): Promise<FileAttributes> {
  const { parent, name } = request;
  const known = await files.lookup(ctx, { parent, name });
  if (known !== undefined) return known;
  try {
    return await files.mkdir(ctx, request);
  } catch (error) {
    const there = isGfsError(error, "AlreadyExists") ? await files.lookup(ctx, { parent, name }) : undefined;
    if (there === undefined) throw error;
    return there;
  }
}

/** As keys are written: no slash in front, none twice. What is no name the service refuses. */
function namesOf(path: string): string[] {
  return (path.endsWith("/") ? path.slice(0, -1) : path).split("/");
}

function noDirectory(path: string): GfsError {
  return new GfsError("NotADirectory", `A part of ${path} is no directory; symbolic links are not followed here.`, {
    op: "rest.files",
  });
}
