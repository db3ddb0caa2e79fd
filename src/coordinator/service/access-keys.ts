import type { Ctx } from "../../core/context.ts";
import type { AccessGrant, AccessKey, KnownAccessKey } from "../../security/index.ts";

export type { AccessGrant, AccessKey, AccessRole, KnownAccessKey } from "../../security/index.ts";

/** Access keys: what clients of every door prove themselves with, and what each may touch. */

export interface CreateAccessKey {
  readonly user: string;
  readonly grants: readonly AccessGrant[];
  /** Given: the key is temporary and has a session token. */
  readonly lifetimeMs?: number;
  /** The id of the key that asks for it. */
  readonly createdBy?: string;
  /** The end of that key: what it makes lasts no longer. */
  readonly noLaterMs?: number;
  /** Brought along, such as from another system; else made here. */
  readonly id?: string;
  readonly secret?: string;
}

export interface AccessKeyService {
  /** The only time that the secret is told. */
  createAccessKey(ctx: Ctx, request: CreateAccessKey): Promise<KnownAccessKey>;
  listAccessKeys(ctx: Ctx): Promise<readonly AccessKey[]>;
  deleteAccessKey(ctx: Ctx, id: string): Promise<void>;
  /**
   * Undefined for unknown ones. An expired one is still told, so that its user can be told the reason: whoever verifies looks at
   * `expiresMs`. Without a promise where the catalog is in this process, and cached.
   */
  findAccessKey(id: string): KnownAccessKey | undefined | Promise<KnownAccessKey | undefined>;
}
