import type { Disk } from "../../../core/ports/disk.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { StoreCapabilities } from "../../store.ts";

export interface FileStoreConfig {
  /** An absolute path. Its last component is made when it is missing. */
  readonly root: string;
  /** False: no component of `root` may be a symbolic link. Default: links on the way to it are followed, once. */
  readonly followsLinks?: boolean;
  /** True: it was used before, so that nothing is made there. While it is not there the store is `Unavailable`, and looks again. */
  readonly existing?: boolean;
}

export interface FileStoreDeps {
  readonly disk?: Disk;
  readonly clock?: Clock;
}

export function capabilitiesOf(keepsAttributes: boolean): StoreCapabilities {
  return {
    conditionalWrites: true,
    conditionalReads: true,
    ranges: true,
    userMetadata: keepsAttributes,
    multipart: { minPartBytes: 1, maxPartBytes: 5 * 1024 ** 3, maxParts: 10_000 },
    serverSideCopy: true,
    conditionalCopies: true,
    movableBytes: Number.POSITIVE_INFINITY,
    movesUploads: true,
    copiesUnchecked: true,
    presign: false,
    maxObjectBytes: 16 * 1024 ** 4,
    listAfter: "seek",
  };
}
