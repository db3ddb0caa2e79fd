import { GfsError } from "../core/errors.ts";
import type { Parts } from "./parts.ts";
import type { VersionService } from "./service.ts";

export function createVersionService(_parts: Parts): VersionService {
  const unfinished = (): GfsError => new GfsError("Unsupported", "Not here yet.");
  return {
    async listVersions() {
      throw unfinished();
    },
    async changeLabels() {
      throw unfinished();
    },
    async versionParts() {
      throw unfinished();
    },
  };
}
