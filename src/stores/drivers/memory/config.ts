import type { StoreCapabilities } from "../../store.ts";

export interface MemoryStoreConfig {
  /** All objects together, those being written included; a write past it is `NoSpace`. */
  readonly maxBytes?: number;
}

export const DEFAULT_MAX_BYTES = 256 * 1024 ** 2;

export const CAPABILITIES: StoreCapabilities = {
  conditionalWrites: true,
  conditionalReads: true,
  ranges: true,
  userMetadata: true,
  multipart: { minPartBytes: 1, maxPartBytes: 1024 ** 3, maxParts: 10_000 },
  serverSideCopy: true,
  conditionalCopies: true,
  movableBytes: Number.POSITIVE_INFINITY,
  movesUploads: true,
  presign: false,
  maxObjectBytes: 2 ** 31 - 1,
  listAfter: "seek",
};
