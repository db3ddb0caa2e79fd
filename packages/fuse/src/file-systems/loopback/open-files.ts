import { OpenReplyFlag } from "../../protocol/flags.ts";
import type { OpenFile } from "../../protocol/replies.ts";
import type { BackingFiles } from "../../passthrough/index.ts";
import { O_ACCMODE, O_RDONLY } from "./source-calls.ts";
import type { SourceNode } from "./source-tree.ts";

export type PassthroughPolicy = "off" | "read" | "write";

/** What is to be known of a file that was just opened. */
export interface Opening {
  readonly handle: number;
  readonly flags: number;
  /** The file has set-user-id or set-group-id, which a write may have to take away. */
  readonly privileged: boolean;
}

/**
 * Decides how the kernel reads and writes an open file. The kernel insists that all open files of an inode go the same way: through its page
 * cache, or to the file of the source. Whoever opens it first decides; in a file that is passed through, those who must not be are served by us
 * without a cache in between.
 */
export class OpenFiles {
  backing: BackingFiles | undefined;
  readonly #policy: PassthroughPolicy;
  /** A writer was there whose writes nobody tells us of: what the kernel knows of the file's times may be wrong from now on. */
  readonly #onSilentWriter: (node: SourceNode) => void;

  constructor(policy: PassthroughPolicy, onSilentWriter: (node: SourceNode) => void) {
    this.#policy = policy;
    this.#onSilentWriter = onSilentWriter;
  }

  open(node: SourceNode, { handle, flags, privileged }: Opening): OpenFile {
    const writes = (flags & O_ACCMODE) !== O_RDONLY;
    const byUs = writes && (this.#policy === "read" || privileged);
    node.opens += 1;
    if (node.io === "idle") node.io = byUs || this.#policy === "off" ? "cached" : "passthrough";
    const backingId = node.io === "passthrough" ? this.backing?.acquire(node.inode, node.descriptor) : undefined;
    if (backingId === undefined) {
      node.io = "cached";
      return { handle, flags: OpenReplyFlag.KEEP_CACHE };
    }
    if (writes) {
      // Even one whose writes come to us may write to a mapping of the source's file.
      node.silentWriters += 1;
      node.mapped = true;
      this.#onSilentWriter(node);
    }
    const direct = byUs ? OpenReplyFlag.DIRECT_IO | OpenReplyFlag.PARALLEL_DIRECT_WRITES : 0;
    return { handle, flags: OpenReplyFlag.PASSTHROUGH | direct, backingId };
  }

  release(node: SourceNode, flags: number): void {
    node.opens -= 1;
    if (node.io === "passthrough") {
      this.backing?.release(node.inode);
      if ((flags & O_ACCMODE) !== O_RDONLY) node.silentWriters -= 1;
    }
    // A mapping may outlive the last descriptor, and the page cache would not see what is written to it.
    if (node.opens === 0) node.io = node.mapped ? "passthrough" : "idle";
  }
}
