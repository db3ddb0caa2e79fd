import { FuseError } from "../protocol/errors.ts";

/** Words that mount(8) knows for every file system. */
export type MountFlag =
  | "ro"
  | "rw"
  | "nosuid"
  | "suid"
  | "nodev"
  | "dev"
  | "noexec"
  | "exec"
  | "noatime"
  | "nodiratime"
  | "relatime"
  | "strictatime"
  | "lazytime"
  | "sync"
  | "dirsync";

export interface MountTableOptions {
  /** What mount tables show as the source; "globalfs-fuse" if nothing is said. */
  readonly name?: string | undefined;
  /** What they show behind "fuse." as the type. */
  readonly subtype?: string | undefined;
  readonly readOnly?: boolean | undefined;
  /** Everybody may use the file system, and not only who mounted it. For others than root it has to be allowed in /etc/fuse.conf. */
  readonly allowOther?: boolean | undefined;
  /** The kernel checks owners, groups and permissions, as on a disk. Without it, every operation that reaches us is allowed. */
  readonly defaultPermissions?: boolean | undefined;
  readonly flags?: readonly MountFlag[] | undefined;
  /** The most bytes of a read; follows from the features. */
  readonly maxReadBytes: number;
}

/** A backslash keeps a comma or a backslash from ending an option's value. */
function escape(value: string): string {
  return value.replaceAll(/[\\,]/g, (character) => `\\${character}`);
}

function sharedWords(options: MountTableOptions): string[] {
  const words: string[] = [...(options.flags ?? [])];
  if (options.readOnly === true) words.push("ro");
  if (options.allowOther === true) words.push("allow_other");
  if (options.defaultPermissions === true) words.push("default_permissions");
  words.push(`max_read=${options.maxReadBytes}`);
  return words;
}

export function sourceName(options: MountTableOptions): string {
  const name = options.name ?? "globalfs-fuse";
  if (name === "" || name.includes("\n")) {
    throw new FuseError("Unsupported", "The name of a mount is one line that is not empty: choose another `name`.");
  }
  return name;
}

/** The words for mount(8), which needs the descriptor in them. */
export function directOptions(options: MountTableOptions, ids: { readonly uid: number; readonly gid: number }): string {
  return ["fd=3", "rootmode=40000", `user_id=${ids.uid}`, `group_id=${ids.gid}`, ...sharedWords(options)].join(",");
}

/** The words for fusermount3, which adds descriptor, owner and root itself. */
export function fusermountOptions(options: MountTableOptions): string {
  const words = sharedWords(options);
  words.push(`fsname=${escape(sourceName(options))}`);
  if (options.subtype !== undefined) words.push(`subtype=${escape(options.subtype)}`);
  return words.join(",");
}
