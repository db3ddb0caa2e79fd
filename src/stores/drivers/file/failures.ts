/** What the errors of a disk mean to the driver. What they mean to everybody else `fromErrno` says. */

export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** There is no object under the name: nothing at all, a directory, a link, a socket, or a name that the disk does not take. */
export const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENXIO"]);

export const NO_SUCH_DIRECTORY: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"]);

/** A full disk, or one to read from only. */
export const TAKES_NOTHING: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EROFS"]);
