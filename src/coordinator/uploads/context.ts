import { KeyedLock } from "../../core/async/keyed-lock.ts";
import { GfsError } from "../../core/errors.ts";
import { findUpload, type UploadRecord } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { locate } from "../foreign/lookup.ts";
import type { Kit } from "../kit.ts";
import type { Upload, UploadedPart, UploadPlace } from "../service/service.ts";
import type { PartRecord } from "../../namespace/index.ts";
import { UploadGate } from "./upload-gate.ts";

/** What the operations on uploads share within one process. */
export interface UploadContext {
  readonly kit: Kit;
  readonly gate: UploadGate;
  /** Held, by upload and part, while a part's last bytes go to the sites: of two that race, all sites and the catalog keep the same one. */
  readonly partLocks: KeyedLock;
}

export function createUploadContext(kit: Kit): UploadContext {
  return { kit, gate: new UploadGate(), partLocks: new KeyedLock() };
}

export function noUpload({ uploadId }: { readonly uploadId: string }): GfsError {
  return new GfsError(
    "NotFound",
    `There is no upload ${uploadId.slice(0, 64)} of this key; it was completed or aborted, or never begun.`,
    {
      op: "coordinator.upload",
      context: { s3: "NoSuchUpload" },
    },
  );
}

export function refuse(s3: string, message: string): GfsError {
  return new GfsError("InvalidArgument", message, { op: "coordinator.upload", context: { s3 } });
}

export async function getUpload(kit: Kit, place: UploadPlace): Promise<UploadRecord> {
  const { path, directory } = locate(place.key);
  if (directory || !/^[0-9A-Z]{26}$/.test(place.uploadId)) throw noUpload(place);
  const upload = await readCatalog(kit.kv, (tx) => findUpload(tx, path, place.uploadId));
  if (upload === undefined) throw noUpload(place);
  return upload;
}

export function describeUpload({ path, uploadId, startedMs, owner, checksum }: UploadRecord): Upload {
  return {
    key: path,
    uploadId,
    startedMs,
    ...(owner === undefined ? {} : { owner }),
    ...(checksum === undefined ? {} : { checksum }),
  };
}

export function describePart({ partNumber, sizeBytes, etag, modifiedMs, checksum }: PartRecord): UploadedPart {
  return { partNumber, sizeBytes, etag, modifiedMs, ...(checksum === undefined ? {} : { checksum }) };
}
