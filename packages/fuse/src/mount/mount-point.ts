import { opendir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { FuseError } from "../protocol/errors.ts";
import { isStale, repairStale } from "./detach.ts";
import { findMount, isFuse } from "./mount-table.ts";

export interface MountPointOptions {
  /** What a killed server left mounted at the directory is unmounted first. On unless false. */
  readonly repairStale?: boolean | undefined;
  /** The directory may have files in it, or a FUSE file system mounted on it; they are hidden meanwhile. Refused unless true. */
  readonly nonEmpty?: boolean | undefined;
}

/** The real path of a directory that something can be mounted on. Throws `NoDirectory` with what to do if it is none. */
export async function prepareDirectory(directory: string, options: MountPointOptions): Promise<string> {
  const asked = resolve(directory);
  // The directory itself may be what a dead server left behind, so only the way to it is looked up at first.
  const path = join(await realpath(dirname(asked)).catch(() => dirname(asked)), basename(asked));
  try {
    const info = await stat(path);
    if (!info.isDirectory()) {
      throw new FuseError("NoDirectory", `${path} is not a directory: name one, such as an empty one of your own.`);
    }
    const real = await realpath(path);
    if (options.nonEmpty !== true) await requireNothingHidden(real);
    return real;
  } catch (error) {
    if (error instanceof FuseError) throw error;
    if (isStale(error) && options.repairStale !== false) {
      await repairStale(path);
      return prepareDirectory(path, { ...options, repairStale: false });
    }
    throw new FuseError("NoDirectory", refusal(path, error), { cause: error });
  }
}

async function requireNothingHidden(path: string): Promise<void> {
  const entry = await findMount(path);
  if (entry !== undefined && isFuse(entry)) {
    throw new FuseError(
      "NoDirectory",
      `${entry.source} is mounted at ${path} already: unmount it with \`umount ${path}\` (\`fusermount3 -u\` as a user), or choose another directory.`,
    );
  }
  if (await hasEntries(path)) {
    throw new FuseError(
      "NoDirectory",
      `${path} is not empty, and what is in it would be hidden: choose an empty directory, or allow it (\`nonEmpty: true\`, \`--non-empty\`).`,
    );
  }
}

async function hasEntries(path: string): Promise<boolean> {
  try {
    // Closed by the end of the loop, whichever it is.
    for await (const _entry of await opendir(path)) return true;
    return false;
  } catch (error) {
    // Who may not list it does not see what is hidden, either.
    if ((error as NodeJS.ErrnoException).code === "EACCES") return false;
    throw error;
  }
}

function refusal(path: string, error: unknown): string {
  if (isStale(error)) {
    return `What is mounted at ${path} has lost its server: unmount it with \`umount -l ${path}\`, or leave \`repairStale\` on.`;
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return `There is no directory ${path}: make it with \`mkdir -p ${path}\`.`;
  if (code === "EACCES") return `${path} cannot be reached: this user needs the permission to enter it.`;
  return `${path} cannot be used: ${(error as Error).message}.`;
}
