import { Errno, FuseError } from "../protocol/errors.ts";
import type { BackingDevice } from "./device-calls.ts";

export interface BackingFilesConfig {
  /** How many files may be registered at the same time; when all of them are open, further ones do without. */
  readonly maxFiles: number;
  /** How many of them stay registered while nobody has them open, for those who open them next. */
  readonly maxIdle: number;
}

interface BackingFile {
  readonly backingId: number;
  uses: number;
  /** Not to be kept when nobody has it open any more. */
  leaving: boolean;
}

/** Reasons that may be gone the next time. */
const PASSING: ReadonlySet<number> = new Set([Errno.ENOMEM, Errno.EMFILE, Errno.ENOSPC]);

/**
 * The files that the kernel reads and writes without asking us, by inode. All open files of an inode have to use the same one. When the
 * kernel refuses for the lack of a privilege, nothing is tried any more; a file system that it cannot stack on may be one of several.
 */
export class BackingFiles {
  readonly #device: BackingDevice;
  readonly #config: BackingFilesConfig;
  readonly #report: (problem: FuseError) => void;
  readonly #files = new Map<number, BackingFile>();
  /** Those that nobody has open, the longest idle first. */
  readonly #idle = new Set<number>();
  #refused = false;
  #reported = false;

  constructor(
    deps: { readonly device: BackingDevice; readonly report: (problem: FuseError) => void },
    config: BackingFilesConfig,
  ) {
    this.#device = deps.device;
    this.#report = deps.report;
    this.#config = config;
  }

  /** How many files are registered with the kernel now. */
  get size(): number {
    return this.#files.size;
  }

  /** False once the kernel has refused. */
  get usable(): boolean {
    return !this.#refused;
  }

  /**
   * The backing id for one more open file of an inode, whose data is in the file that `descriptor` holds; a descriptor opened with O_PATH will do.
   * Undefined if there is none to be had: the file is then served by us. Each id that was returned needs a `release`.
   */
  acquire(inode: number, descriptor: number): number | undefined {
    const known = this.#files.get(inode);
    if (known !== undefined) {
      known.uses += 1;
      this.#idle.delete(inode);
      return known.backingId;
    }
    if (this.#refused || !this.#makeRoom()) return undefined;
    const backingId = this.#device.open(descriptor);
    if (backingId <= 0) {
      this.#refuse(backingId);
      return undefined;
    }
    this.#files.set(inode, { backingId, uses: 1, leaving: false });
    return backingId;
  }

  /** One open file of the inode was closed. */
  release(inode: number): void {
    const file = this.#files.get(inode);
    if (file === undefined) return;
    file.uses -= 1;
    if (file.uses > 0) return;
    if (file.leaving) {
      this.#drop(inode, file);
      return;
    }
    this.#idle.add(inode);
    if (this.#idle.size > this.#config.maxIdle) this.#dropOldest();
  }

  /**
   * The inode means nothing any more, or has another file. As long as anybody has it open the kernel insists on the same file for everybody;
   * the id goes when the last one closes it.
   */
  forget(inode: number): void {
    const file = this.#files.get(inode);
    if (file === undefined) return;
    if (file.uses > 0) file.leaving = true;
    else this.#drop(inode, file);
  }

  /** Gives all of them back. */
  close(): void {
    for (const [inode, file] of this.#files) this.#drop(inode, file);
  }

  #drop(inode: number, file: BackingFile): void {
    this.#files.delete(inode);
    this.#idle.delete(inode);
    this.#device.close(file.backingId);
  }

  #makeRoom(): boolean {
    if (this.#files.size < this.#config.maxFiles) return true;
    return this.#dropOldest();
  }

  #dropOldest(): boolean {
    const { value: oldest } = this.#idle.values().next();
    if (oldest === undefined) return false;
    this.forget(oldest);
    return true;
  }

  #refuse(errno: number): void {
    if (PASSING.has(errno)) return;
    if (errno !== Errno.ELOOP) this.#refused = true;
    if (this.#reported) return;
    this.#reported = true;
    this.#report(
      new FuseError(
        "Unsupported",
        `The kernel does not pass reads through to the files (error number ${-errno}), so this process serves them, which is slower: passthrough needs CAP_SYS_ADMIN, and files that are on no stacked file system themselves.`,
      ),
    );
  }
}
