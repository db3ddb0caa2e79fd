import { readFileSync } from "node:fs";

export const PERMISSIONS = 0o7777;
export const SET_GROUP_ID = 0o2000;
const SET_USER_ID = 0o4000;
const GROUP_EXECUTES = 0o0010;

/** Who asks for something. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** Whether a mode lets those who execute the file become somebody else. */
export function isPrivileged(mode: number): boolean {
  return (mode & (SET_USER_ID | SET_GROUP_ID)) !== 0;
}

/**
 * What is left of a mode when somebody changes the content or the owner. Set-group-id of a file that its group cannot execute means something else, and stays
 * if the caller is in the group, or root.
 */
export function withoutPrivileges(
  { mode, gid }: { readonly mode: number; readonly gid: number },
  caller: Caller,
): number {
  if (!isPrivileged(mode)) return mode;
  const stays = (mode & SET_GROUP_ID) !== 0 && (mode & GROUP_EXECUTES) === 0 && isInGroup(gid, caller);
  return mode & ~(SET_USER_ID | (stays ? 0 : SET_GROUP_ID));
}

/** The kernel tells one group of the caller; the others are with the process, if that is one that we can see. */
function isInGroup(gid: number, caller: Caller): boolean {
  if (caller.uid === 0 || caller.gid === gid) return true;
  try {
    const groups = /^Groups:(.*)$/m.exec(readFileSync(`/proc/${caller.pid}/status`, "latin1"))?.[1] ?? "";
    return groups.trim().split(/\s+/).includes(String(gid));
  } catch {
    return false;
  }
}
