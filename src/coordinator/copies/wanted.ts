import type { FilePath, Inode } from "../../core/ids.ts";
import type { Copy, FileVersion } from "../../namespace/index.ts";
import type { ObjectBody, Site, Span } from "../../stores/index.ts";

/** What a read asks of a version's copies. */
export interface Wanted {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly span: Span;
  /** Who held the version when it was looked up. */
  readonly inode: Inode;
  /** Of an older version, which no name leads to. */
  readonly holder?: Inode;
  /** Bytes of it were given out already. */
  readonly midway?: boolean;
  /** Sites that the catalog does not count on were asked already. */
  readonly lastResort?: boolean;
}

export interface Candidate {
  readonly copy: Copy;
  readonly site: Site;
}

export interface OpenCopy extends Candidate {
  readonly body: ObjectBody;
}

export function isWhole({ span, version }: Wanted): boolean {
  return span.start === 0 && span.end === version.sizeBytes;
}

export function isReadable(copy: Copy): boolean {
  return copy.state === "present" || copy.state === "foreign";
}
