/**
 * Any S3-compatible endpoint: AWS, on-prem, and GCS by its HMAC keys. Nothing here depends on what only AWS has: bodies are
 * checked by the SHA-256 that the signature covers instead of checksum headers, many deletes fall back to single ones, and
 * whether conditions on writes are kept (GCS knows its own, other ones) the probe finds out.
 */
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { type Random, systemRandom } from "../../../core/ports/random.ts";
import type { Store } from "../../store.ts";
import { createMemoryUploadBook, type UploadBook } from "../../upload-book.ts";
import { S3Client } from "./client.ts";
import { checkSizes, type S3StoreConfig } from "./config.ts";
import { S3Store } from "./store.ts";

export type { S3Credentials, S3StoreConfig } from "./config.ts";

export interface S3StoreDeps {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Default: what this store began itself. */
  readonly uploads?: UploadBook;
}

/** Connects to nothing yet: `check` finds out whether the bucket can be reached. */
export function createS3Store(config: S3StoreConfig, deps: S3StoreDeps = {}): Store {
  checkSizes(config);
  const clock = deps.clock ?? systemClock;
  return new S3Store(new S3Client(config, { clock }), config, {
    clock,
    random: deps.random ?? systemRandom,
    uploads: deps.uploads ?? createMemoryUploadBook(),
  });
}
