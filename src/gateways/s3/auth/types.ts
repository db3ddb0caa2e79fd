import type { IncomingMessage, ServerResponse } from "node:http";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import type { BodyTurns } from "../../http/index.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Identity } from "../../../security/index.ts";
import type { RequestBody, Target } from "../wire/request.ts";

export interface GateSettings {
  readonly region: string;
  /** A body that brings no byte for so long is given up. */
  readonly bodyIdleMs: number;
  /** Bodies come at this rate at least, on average. Absent: at any. */
  readonly minBytesPerSecond?: number;
  /** Within which the fields of a form have to come, and who sent it is known. Absent: as long as they go on. */
  readonly formHeadMs?: number;
  /** Within which a body has to come of somebody who does not say who it is. Absent: as long as it goes on. */
  readonly strangerBodyMs?: number;
  /** Whether Signature Version 2 passes, too. */
  readonly signatureV2: boolean;
}

export interface GateDeps {
  /** As `AccessKeyService` has it: also keys that have expired, with their `expiresMs`. */
  readonly findAccessKey: (id: string) => KnownAccessKey | undefined | Promise<KnownAccessKey | undefined>;
  readonly clock: Clock;
  /** Whose body is read now. */
  readonly turns?: BodyTurns;
  readonly settings: GateSettings;
}

export interface Authenticated {
  readonly identity: Identity;
  readonly body: RequestBody;
  /** Of a POST form only: the key that the form names. It is the target's key, for the authorisation and for the operation. */
  readonly key?: string;
}

export interface Gate {
  /**
   * Who sent this request, and its body. A request that carries no signature is of kind `anonymous`: whether that may pass is decided by
   * access. Throws what S3 answers to signatures that do not hold. Without a promise where the access key is known at once; a POST
   * form always brings one, since its signature stands in the body.
   *
   * Afterwards `http.headers` says what was meant: `Content-Encoding` without `aws-chunked`, which is no property of the object, the headers
   * that a presigned address carries in its query, and the fields of a form.
   */
  authenticate(http: IncomingMessage, response: ServerResponse, target: Target): Authenticated | Promise<Authenticated>;
}
