import { GfsError } from "../core/errors.ts";
import type { Parts } from "./parts.ts";
import type { BucketService } from "./service.ts";

export function createBucketService(_parts: Parts): BucketService {
  const unfinished = (): GfsError => new GfsError("Unsupported", "Not here yet.");
  return {
    async listBuckets() {
      throw unfinished();
    },
    async createBucket() {
      throw unfinished();
    },
    async deleteBucket() {
      throw unfinished();
    },
    async changeBucket() {
      throw unfinished();
    },
    async findBucket() {
      throw unfinished();
    },
    peekBucket() {
      throw unfinished();
    },
  };
}
