import { GfsError } from "../../core/errors.ts";
import type { FileAttributes } from "../types.ts";

/** Who may do what by owner, groups and mode, as path_resolution(7), inode(7), chmod(2) and chown(2) have it. Nothing here reads anything. */

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  /** The supplementary ones. */
  readonly groups: readonly number[];
}

/** What is asked of a mode, to be added up. */
export const READ = 4;
export const WRITE = 2;
export const EXECUTE = 1;

export const SET_UID = 0o4000;
export const SET_GID = 0o2000;
export const STICKY = 0o1000;
const ANY_EXECUTE = 0o111;
const GROUP_EXECUTE = 0o010;

/** What a decision needs to know of a file. */
export type Guarded = Pick<FileAttributes, "kind" | "mode" | "uid" | "gid">;

export function isRoot(who: Credentials): boolean {
  return who.uid === 0;
}

export function isInGroup(who: Credentials, gid: number): boolean {
  return who.gid === gid || who.groups.includes(gid);
}

/** Whether all of what is wanted is granted. The owner's bits count for the owner, even where those of others grant more. */
export function mayAccess(who: Credentials, file: Guarded, wanted: number): boolean {
  if (isRoot(who)) {
    const executes = file.kind === "directory" || (file.mode & ANY_EXECUTE) !== 0;
    return (wanted & EXECUTE) === 0 || executes;
  }
  const shift = who.uid === file.uid ? 6 : isInGroup(who, file.gid) ? 3 : 0;
  return ((file.mode >>> shift) & wanted) === wanted;
}

export function assertAccess(who: Credentials, file: Guarded, wanted: number): void {
  if (mayAccess(who, file, wanted)) return;
  throw new GfsError("PermissionDenied", "The owner and mode of the file, or of its directory, do not allow that.", {
    op: "namespace.posix",
    context: { uid: who.uid, wanted, mode: file.mode, owner: file.uid, group: file.gid },
  });
}

export function isOwner(who: Credentials, file: Guarded): boolean {
  return isRoot(who) || who.uid === file.uid;
}

export function assertOwner(who: Credentials, file: Guarded): void {
  if (!isOwner(who, file)) throw notPermitted("Only the owner of a file may change that.");
}

/** Whether a name may be taken out of a directory in which it may write: where that is sticky, only what is its own. */
export function assertRemovable(who: Credentials, directory: Guarded, file: Guarded): void {
  if (!(directory.mode & STICKY) || isOwner(who, file) || who.uid === directory.uid) return;
  throw notPermitted("In a directory with the sticky bit, only the owner of a file may remove or rename it.");
}

/** Of a change of owners: root may do anything, an owner give a file to a group that he is in. */
export function assertOwnersChange(
  who: Credentials,
  file: Guarded,
  { uid, gid }: { readonly uid?: number | undefined; readonly gid?: number | undefined },
): void {
  if (isRoot(who) || (uid === undefined && gid === undefined)) return;
  const keepsUser = uid === undefined || uid === file.uid;
  const group = gid === undefined || gid === file.gid || isInGroup(who, gid);
  if (who.uid !== file.uid || !keepsUser || !group)
    throw notPermitted("Only root may give a file to another user, and its owner to a group that he is in.");
}

/** The mode that somebody gets who asks for one: who is not in the group of a file cannot let it run as that. */
export function grantedMode(who: Credentials, file: Pick<Guarded, "gid">, mode: number): number {
  return isRoot(who) || isInGroup(who, file.gid) ? mode : mode & ~SET_GID;
}

/** The mode of something new: in a directory that hands its group on nobody makes what runs as a group that he is not in. */
export function newMode(who: Credentials, directory: Guarded, made: Pick<Guarded, "kind" | "mode">): number {
  const runs = made.kind !== "directory" && (made.mode & (SET_GID | GROUP_EXECUTE)) === (SET_GID | GROUP_EXECUTE);
  return runs && directory.mode & SET_GID ? grantedMode(who, directory, made.mode) : made.mode;
}

/** One more name keeps a file from its owner's hands: it is given only to what the caller owns, or could read and write, and that runs as nobody. */
export function assertLinkable(who: Credentials, file: Guarded): void {
  const runs = (file.mode & SET_UID) !== 0 || (file.mode & (SET_GID | GROUP_EXECUTE)) === (SET_GID | GROUP_EXECUTE);
  const isHarmless = file.kind === "file" && !runs && mayAccess(who, file, READ | WRITE);
  if (!isOwner(who, file) && !isHarmless)
    throw notPermitted("Only the owner of a file, or who may read and write it, may give it one more name.");
}

export function notPermitted(sentence: string): GfsError {
  return new GfsError("NotPermitted", sentence, { op: "namespace.posix" });
}

/** What something new gets from a directory whose group is inherited. */
export function inherit(
  directory: Pick<FileAttributes, "mode" | "gid">,
  made: Guarded,
): Pick<FileAttributes, "mode" | "uid" | "gid"> {
  const { kind, mode, uid, gid } = made;
  if (!(directory.mode & SET_GID)) return { mode, uid, gid };
  return { mode: kind === "directory" ? mode | SET_GID : mode, uid, gid: directory.gid };
}

/** The mode after a change of owner or group. Set-group-id without execute means something else, and stays. */
export function withoutSetIds({ kind, mode }: Pick<FileAttributes, "kind" | "mode">): number {
  if (kind === "directory") return mode;
  return mode & ~SET_UID & (mode & GROUP_EXECUTE ? ~SET_GID : -1);
}
