import type { Ctx } from "../../core/context.ts";
import type { ChecksumAlgorithm, ContentChecksum, ContentHeaders, VersionLabels } from "../../namespace/types.ts";
import type { ByteRange } from "../../stores/store.ts";
import type { Conditions, ObjectMeta, PutResult } from "./objects.ts";

/** Uploads in parts, and copies within the namespace. */

export interface CreateUpload {
  readonly key: string;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly contentHeaders?: ContentHeaders;
  readonly owner?: string;
  readonly labels?: VersionLabels;
  /** What the parts are summed with, and how the whole is: of the parts' sums, or of all bytes. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly kind: ContentChecksum["kind"] };
}

export interface Upload {
  readonly key: string;
  readonly uploadId: string;
  readonly startedMs: number;
  readonly owner?: string;
  readonly checksum?: CreateUpload["checksum"];
}

export interface UploadPlace {
  readonly key: string;
  readonly uploadId: string;
}

export interface PutPart extends UploadPlace {
  /** 1 to 10,000; sending one again replaces it. */
  readonly partNumber: number;
  /** Known before the first byte: the sites need it. */
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
  readonly expected?: { readonly md5Hex?: string; readonly sha256Hex?: string };
  /** As `PutRequest.checksum`: asked for once the body has come to its end. Absent or undefined: computed here when the upload asks for one. */
  readonly checksum?: () => ContentChecksum | undefined;
}

export interface UploadedPart {
  readonly partNumber: number;
  readonly sizeBytes: number;
  /** Hex MD5. */
  readonly etag: string;
  readonly modifiedMs: number;
  /** Base64, in the algorithm of the upload. */
  readonly checksum?: string;
}

export interface CopySource {
  readonly key: string;
  readonly versionId?: string;
  readonly conditions?: Conditions;
}

export interface CopyPart extends UploadPlace {
  readonly partNumber: number;
  readonly from: CopySource;
  readonly range?: ByteRange;
}

export interface CompleteUpload extends UploadPlace {
  /** In ascending order; at least one. */
  readonly parts: readonly { readonly partNumber: number; readonly etag: string; readonly checksum?: string }[];
  readonly conditions?: Conditions;
  /** Of the whole, as the client has it; base64. */
  readonly checksum?: string;
  readonly sizeBytes?: number;
}

export interface CopyObject {
  readonly from: CopySource;
  readonly key: string;
  readonly conditions?: Conditions;
  /** Given: they replace those of the source. Absent: the source's are kept. */
  readonly replace?: {
    readonly contentType?: string;
    readonly metadata: Readonly<Record<string, string>>;
    readonly contentHeaders?: ContentHeaders;
  };
  /** Given: they replace those of the source; absent: the source's tags are kept. */
  readonly tags?: Readonly<Record<string, string>>;
  readonly accessList?: string;
  readonly lock?: VersionLabels["lock"];
  readonly owner?: string;
  /** Absent: the source's checksum is kept where it is one of all bytes. */
  readonly checksumAlgorithm?: ChecksumAlgorithm;
}

export interface UploadService {
  /** Opens an upload at each required site. */
  createUpload(ctx: Ctx, request: CreateUpload): Promise<Upload>;
  /** `NotFound` when there is no such upload of this key; so do all below. */
  findUpload(ctx: Ctx, place: UploadPlace): Promise<Upload>;
  /** The bytes go straight into the sites' own uploads. */
  putPart(ctx: Ctx, request: PutPart): Promise<UploadedPart>;
  copyPart(ctx: Ctx, request: CopyPart): Promise<UploadedPart & { readonly sourceVersionId: string }>;
  listParts(
    ctx: Ctx,
    request: UploadPlace & { readonly after?: number; readonly limit: number },
  ): Promise<{ readonly upload: Upload; readonly parts: readonly UploadedPart[]; readonly next?: number }>;
  /** In the order of key, then of when they were started. */
  listUploads(
    ctx: Ctx,
    request: {
      readonly prefix: string;
      readonly delimiter?: "/";
      readonly afterKey?: string;
      readonly afterUploadId?: string;
      readonly limit: number;
    },
  ): Promise<{
    readonly uploads: readonly Upload[];
    readonly prefixes: readonly string[];
    readonly next?: { readonly key: string; readonly uploadId?: string };
  }>;
  /**
   * One commit. Doing it again after a lost answer gives the same answer for a day. `InvalidArgument` with `s3` in the context: `InvalidPart`,
   * `InvalidPartOrder`, `EntityTooSmall`.
   */
  completeUpload(ctx: Ctx, request: CompleteUpload): Promise<PutResult>;
  /** Idempotent while the upload is remembered. */
  abortUpload(ctx: Ctx, place: UploadPlace): Promise<void>;
  /** Within the sites that have the bytes where they can, else streamed. */
  copyObject(ctx: Ctx, request: CopyObject): Promise<PutResult & { readonly source: ObjectMeta }>;
}
