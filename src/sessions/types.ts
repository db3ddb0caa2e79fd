import type { Inode, SessionId } from "../core/ids.ts";
import type { Touch } from "../namespace/index.ts";

/** What those who cache are told, and what they ask for. */

/** The epoch says which life of the session is meant; one from before is refused. */
export interface SessionRef {
  readonly session: SessionId;
  readonly epoch: number;
}

export interface NewSession {
  /** For people. */
  readonly host: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A write lease is wanted by somebody else. */
export interface Recall {
  readonly inode: Inode;
  readonly epoch: number;
  /** From when this is heard: then the lease is over, whatever was not written by then. */
  readonly withinMs: number;
}

/**
 * What a session is told of one commit. It acknowledges revisions cumulatively, once nothing that it would still answer from is older.
 *
 * What it has read at an earlier revision of what is touched is not so any more. While an inode is withheld, nothing that is told of it, of names in it, and of files
 * in it that are touched, is to be trusted, at whatever revision it was read.
 */
export interface SessionEvent {
  readonly revision: number;
  readonly touches: readonly Touch[];
  readonly withheld?: readonly Inode[];
  /** No longer withheld. */
  readonly released?: readonly Inode[];
  readonly recalls?: readonly Recall[];
  /** It was cut off: nothing is covered any more, nothing withheld, and all is to be read again. */
  readonly everything?: true;
}

/** How a session is reached. What is pushed while there is none, or gets lost with it, is pushed again to the next one. */
export interface SessionChannel {
  /** In the order of the revisions. Must not throw. */
  push(event: SessionEvent): void;
}

export type LockKind = "flock" | "posix";
export type LockMode = "shared" | "exclusive";

/** Of a file's bytes, from `start` up to `end`, which is not in it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Up to wherever the file may end. */
export const TO_THE_END = Number.MAX_SAFE_INTEGER;
