import { refused, type RequestAccess } from "./request-access.ts";

/**
 * What the routes of files ask of access. Looking is reading, and changing what is kept beside the content is writing. Who a file belongs to, and what makes it run as
 * somebody else where it is mounted, is for administrators of the path.
 */

/** A name at the top may be a bucket, whose policy and owner decide then. */
function asked(path: string): string {
  return path === "" || path.includes("/") ? path : `${path}/`;
}

export function maySee(access: RequestAccess, path: string): void | Promise<void> {
  return access.object("s3:GetObject", asked(path));
}

export async function maySeeEntries(access: RequestAccess, path: string): Promise<void> {
  const bare = path.replace(/\/$/, "");
  if (bare === "") await access.object("s3:ListBucket", "");
  else if (!(await access.mayList(`${bare}/`))) throw refused();
}

export async function mayMake(
  access: RequestAccess,
  path: string,
  { directory }: { readonly directory: boolean },
): Promise<void> {
  await access.object("s3:PutObject", directory ? `${path.replace(/\/$/, "")}/` : asked(path));
}

const SET_IDS = 0o6000;

interface Owners {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** Root's is what nobody chose. */
export function mayGiveTo(access: RequestAccess, path: string, { uid = 0, gid = 0 }: Owners): void {
  if (uid !== 0 || gid !== 0) access.operation("globalfs:ChangeOwner", path.replace(/\/$/, ""));
}

/** By another name the same attributes can be changed, so whoever gives one may change them by the old one. */
export async function mayLink(
  access: RequestAccess,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  await access.object("s3:GetObject", asked(from));
  await access.object("s3:PutObject", asked(from));
  await access.object("s3:PutObject", asked(to));
}

export async function mayChangeAttributes(
  access: RequestAccess,
  change: {
    readonly path: string;
    readonly mode?: string | undefined;
    readonly uid?: number | undefined;
    readonly gid?: number | undefined;
  },
): Promise<void> {
  const { path, mode, uid, gid } = change;
  await access.object("s3:PutObject", asked(path));
  const runs = mode !== undefined && (Number.parseInt(mode, 8) & SET_IDS) !== 0;
  if (runs || uid !== undefined || gid !== undefined) access.operation("globalfs:ChangeOwner", path.replace(/\/$/, ""));
}

/** Those of users only; others mean something to kernels. */
export async function mayChangeAttribute(
  access: RequestAccess,
  { path, name }: { readonly path: string; readonly name: string },
): Promise<void> {
  await access.object("s3:PutObject", asked(path));
  if (!name.startsWith("user.")) access.operation("globalfs:ChangeOwner", path.replace(/\/$/, ""));
}
