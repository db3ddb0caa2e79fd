import { GfsError } from "../core/errors.ts";
import type { Parts } from "./parts.ts";
import type { UploadService } from "./service.ts";

export function createUploadService(_parts: Parts): UploadService {
  const unfinished = (): GfsError => new GfsError("Unsupported", "Not here yet.");
  return {
    async createUpload() {
      throw unfinished();
    },
    async findUpload() {
      throw unfinished();
    },
    async putPart() {
      throw unfinished();
    },
    async copyPart() {
      throw unfinished();
    },
    async listParts() {
      throw unfinished();
    },
    async listUploads() {
      throw unfinished();
    },
    async completeUpload() {
      throw unfinished();
    },
    async abortUpload() {
      throw unfinished();
    },
    async copyObject() {
      throw unfinished();
    },
  };
}
