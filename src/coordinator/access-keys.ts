import { GfsError } from "../core/errors.ts";
import type { Parts } from "./parts.ts";
import type { AccessKeyService } from "./service.ts";

export function createAccessKeyService(_parts: Parts): AccessKeyService {
  const unfinished = (): GfsError => new GfsError("Unsupported", "Not here yet.");
  return {
    async createAccessKey() {
      throw unfinished();
    },
    async listAccessKeys() {
      throw unfinished();
    },
    async deleteAccessKey() {
      throw unfinished();
    },
    findAccessKey() {
      throw unfinished();
    },
  };
}
