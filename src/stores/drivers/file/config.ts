import type { Disk } from "../../../core/ports/disk.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { StoreCapabilities } from "../../store.ts";
import type { IntakeBounds, Standing } from "./intake/log.ts";

export interface FileStoreConfig {
  /** An absolute path. Its last component is made when it is missing. */
  readonly root: string;
  /** False: no component of `root` may be a symbolic link. Default: links on the way to it are followed, once. */
  readonly followsLinks?: boolean;
  /** True: it was used before, so that nothing is made there. While it is not there the store is `Unavailable`, and looks again. */
  readonly existing?: boolean;
  /**
   * Contents of up to so many bytes become durable in segments that they share, and are flushed as files later, many at a time. 0: each is flushed
   * by itself. Only on disks of this machine.
   */
  readonly intakeBytes?: number;
}

export const DEFAULT_INTAKE_BYTES = 0;
/** Contents that are noted are kept in memory until then. */
export const MAX_INTAKE_BYTES = 256 * 1_024;

export interface FileStoreDeps {
  readonly disk?: Disk;
  readonly clock?: Clock;
  readonly intakeBounds?: IntakeBounds;
  /** How much of what was noted has not been flushed as files yet. */
  readonly onIntake?: (standing: Standing) => void;
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
