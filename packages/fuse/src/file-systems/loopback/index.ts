/** Shows a directory of another file system, which may change by itself, too. To be mounted with `defaultPermissions`. */
import { openSync, readFileSync } from "node:fs";
import { FuseError } from "../../protocol/errors.ts";
import type { FileSystem } from "../../session/file-system.ts";
import { LoopbackFileSystem } from "./loopback-file-system.ts";
import { NativeCalls } from "./native-calls.ts";
import { NodeCalls } from "./node-calls.ts";
import { O_DIRECTORY, type SourceCalls } from "./source-calls.ts";

export interface LoopbackOptions {
  /** What is shown. The mount must not be below it, as it would have to wait for itself, and there must be no more than one worker. */
  readonly source: string;
  /**
   * What the kernel does without us, if it can: "read" for files that are opened for reading only, "write" for all files, "off" for none. With
   * "write", writing through a shared mapping shows in the times of a file at once, and no request of a write reaches us.
   */
  readonly passthrough?: "off" | "read" | "write";
  /** For how long the kernel may believe attributes and names; 1,000 if nothing is said. 0 shows each change of the source at once. */
  readonly timeoutMs?: number;
  /** Where locks are held: by the "kernel", among those who use this mount, or at the "source", where everybody sees them. */
  readonly locks?: "kernel" | "source";
  /** How many known files keep a descriptor; half of what the process may have if nothing is said. */
  readonly maxDescriptors?: number;
  /** "node": does without koffi even where it is installed, and with less, see `NodeCalls`. */
  readonly systemCalls?: "native" | "node";
}

const DEFAULT_TIMEOUT_MS = 1000;
const FALLBACK_DESCRIPTORS = 1024;

export function createFileSystem(options?: unknown): FileSystem {
  const { source, ...chosen } = (options ?? {}) as Partial<LoopbackOptions>;
  if (source === undefined) {
    throw new FuseError("NoDirectory", "Loopback needs a directory to show: give the option `source`.");
  }
  const { calls, problem } = chooseCalls(chosen.systemCalls ?? "native");
  return new LoopbackFileSystem(
    { calls, root: openRoot(source), problem },
    {
      passthrough: chosen.passthrough ?? "read",
      timeoutMs: chosen.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      locksAtSource: chosen.locks === "source",
      maxDescriptors: chosen.maxDescriptors ?? Math.floor(descriptorLimit() / 2),
    },
  );
}

function openRoot(source: string): number {
  try {
    return openSync(source, O_DIRECTORY);
  } catch (error) {
    throw new FuseError("NoDirectory", refusal(source, error as NodeJS.ErrnoException), { cause: error });
  }
}

function refusal(source: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === "ENOENT") return `There is no directory ${source} to show: name one that exists.`;
  if (code === "ENOTDIR") return `${source} is not a directory, and so cannot be shown: name one.`;
  if (code === "EACCES") return `${source} cannot be shown, as this user may not read it: name another directory.`;
  return `${source} cannot be shown: ${message}. Name another directory.`;
}

function chooseCalls(wanted: "native" | "node"): { readonly calls: SourceCalls; readonly problem?: FuseError } {
  if (wanted === "node") return { calls: new NodeCalls() };
  try {
    return { calls: new NativeCalls() };
  } catch (error) {
    const message =
      "Loopback does without koffi, and so without extended attributes, device files, exchanging renames, fallocate and passthrough: run `npm install koffi`.";
    return { calls: new NodeCalls(), problem: new FuseError("Unsupported", message, { cause: error }) };
  }
}

/** How many descriptors this process may have. */
function descriptorLimit(): number {
  const found = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  return found === undefined ? FALLBACK_DESCRIPTORS : Number(found);
}
