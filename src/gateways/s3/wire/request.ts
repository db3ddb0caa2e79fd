import type { IncomingMessage, ServerResponse } from "node:http";
import type { ContentChecksum } from "../../../namespace/types.ts";
import type { Bucket } from "../../../coordinator/service/buckets.ts";
import type { CoordinatorService } from "../../../coordinator/index.ts";
import type { Ctx } from "../../../core/context.ts";
import type { OwnNames, Told } from "../../http/index.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Logger } from "../../../core/ports/log.ts";
import type { Identity } from "../../../security/index.ts";

/** The words that the parts of the S3 gateway share: what came in, who asks, and what an operation is. */

/** What the address names, before anything is known about who asks. */
export interface Target {
  readonly method: string;
  /** Empty: the service as a whole. */
  readonly bucket: string;
  /** Decoded; empty: the bucket as a whole. */
  readonly key: string;
  /** Decoded. A parameter without a value is the empty text; the first of several of one name counts. */
  readonly query: ReadonlyMap<string, string>;
}

/** The body as its signature and checksums let it through: what is not what was signed ends the stream with an error. */
export interface RequestBody {
  /** Of the decoded body; undefined when the client does not say. */
  readonly sizeBytes: number | undefined;
  /** May be called once. Sends `100 Continue` where the client waits for it. A PUT or POST without a length is `LengthRequired`. */
  stream(options?: StreamOptions): AsyncIterable<Uint8Array>;
  /** For small documents; more than the limit is `TooLarge`. */
  readAll(limitBytes: number): Promise<Buffer>;
  /** What the headers say of the whole body, for the one who computes it anyway. */
  readonly expected: { readonly md5Hex?: string; readonly sha256Hex?: string };
  /** The checksum that the client sent and that the body had; known at the end of the stream. */
  checksum(): ContentChecksum | undefined;
}

export interface StreamOptions {
  /**
   * The caller compares what `expected` says with the body itself before anything is kept, because it computes both hashes anyway. The
   * other checks stay where they are.
   */
  readonly callerChecks?: boolean;
}

export interface S3Request extends Target {
  readonly ctx: Ctx;
  readonly http: IncomingMessage;
  readonly response: ServerResponse;
  readonly identity: Identity;
  readonly body: RequestBody;
  /** The key in the namespace: bucket and key joined, or the key alone where one bucket is the whole tree. */
  readonly path: string;
  /** The bucket that the request names, when it exists and the operation needs it. */
  readonly settings: Bucket | undefined;
  /** What the audit trail is told beside what every request tells. */
  readonly told: Told;
}

/** How large objects and keys may be, and what the operator decided. */
export interface S3Settings {
  readonly region: string;
  /** This bucket is the whole tree; absent: buckets are the directories at its top. */
  readonly rootBucket?: string;
  /** Whether access lists and policies may let in who does not sign. */
  readonly allowAnonymous: boolean;
  /** By which who does not sign may call us. Absent: by any. */
  readonly ownNames?: OwnNames;
  /** Names that event notifications may be sent to, and their addresses. */
  readonly webhooks: Readonly<Record<string, string>>;
  readonly bodyIdleMs: number;
  /** Bodies come at this rate at least, on average. Absent: at any. */
  readonly minBytesPerSecond?: number;
  /** Within which the fields of a form have to come, and who sent it is known. Absent: as long as they go on. */
  readonly formHeadMs?: number;
  /** Within which a body has to come of somebody who does not say who it is. Absent: as long as it goes on. */
  readonly strangerBodyMs?: number;
  /** Whether Signature Version 2 is taken where Version 4 is. */
  readonly signatureV2: boolean;
}

export interface S3Deps {
  readonly service: CoordinatorService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: S3Settings;
}

/** One file each, in the room of what it touches. */
export interface Operation {
  /** As AWS names it, such as `GetObject`; also the label of metrics. */
  readonly name: string;
  /** What a policy calls the permission, such as `s3:GetObject`. */
  readonly action: string;
  /** `exists`: a missing bucket is `NoSuchBucket` before the operation runs. `settings`: the operation works on the bucket itself. `none`: it does not matter. */
  readonly bucket: "exists" | "none";
  run(request: S3Request, deps: S3Deps): Promise<void>;
}

/** A line of the routing table. Of those whose level and method fit, the one whose `query` is present wins over those without. */
export interface Route {
  readonly level: "service" | "bucket" | "object";
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** The sub-resource: a parameter that must be there, such as `acl`, or several, all of which must be. */
  readonly query?: string | readonly string[];
  /** A header that must be there, such as `x-amz-copy-source`. */
  readonly header?: string;
  readonly operation: Operation;
}
