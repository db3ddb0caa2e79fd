export const PERMISSIONS = 0o7777;
export const SET_GROUP_ID = 0o2000;
const SET_USER_ID = 0o4000;
const GROUP_EXECUTES = 0o0010;

/** Whether a mode lets those who execute the file become somebody else. */
export function isPrivileged(mode: number): boolean {
  return (mode & (SET_USER_ID | SET_GROUP_ID)) !== 0;
}

/** What is left of a mode when the content changes. Set-group-id of a file that its group cannot execute means something else, and stays. */
export function withoutPrivileges(mode: number): number {
  return mode & ~(SET_USER_ID | ((mode & GROUP_EXECUTES) === 0 ? 0 : SET_GROUP_ID));
}
