import type { FileAttributes } from "../types.ts";

/** Who may do what by owner, groups and mode, as path_resolution(7), inode(7) and chmod(2) have it. */

export const SET_UID = 0o4000;
export const SET_GID = 0o2000;
const GROUP_EXECUTE = 0o010;

/** What something new gets from a directory whose group is inherited. */
export function inherit(
  directory: Pick<FileAttributes, "mode" | "gid">,
  made: Pick<FileAttributes, "kind" | "mode" | "uid" | "gid">,
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
