/** A complete POSIX file system in memory. */
import type { FileSystem } from "../../session/file-system.ts";
import { SystemFileClock, type FileClock } from "./clock.ts";
import { MemoryFileSystem } from "./memory-file-system.ts";

export interface MemoryOptions {
  /** How many bytes all files together may take; 1 GiB if nothing is said. */
  readonly capacityBytes?: number;
  /** How many files there may be; a million if nothing is said. */
  readonly maxFiles?: number;
  /** For how long the kernel may believe attributes and names. For ever if nothing is said: nobody changes them but by the kernel. */
  readonly timeoutMs?: number;
  /** Files are opened without a trip to us, where the kernel can do that. */
  readonly noOpen?: boolean;
}

const DEFAULTS = {
  capacityBytes: 1_073_741_824,
  maxFiles: 1_000_000,
  timeoutMs: Number.POSITIVE_INFINITY,
  noOpen: false,
};

export function createFileSystem(options?: unknown, clock: FileClock = new SystemFileClock()): FileSystem {
  return new MemoryFileSystem({ ...DEFAULTS, ...(options as MemoryOptions | undefined) }, clock);
}
