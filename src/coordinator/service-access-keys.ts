import type { Ctx } from "../core/context.ts";

/** Access keys: what S3 clients sign their requests with, and what each may touch. */

/**
 * reader: reads and lists below the path. writer: also writes and deletes there. admin: everything below the path, whoever owns it. user: as an
 * account of S3: makes buckets below the path, does everything with what it owns, and with the rest what access lists and policies allow.
 */
export type AccessRole = "reader" | "writer" | "admin" | "user";

export interface AccessGrant {
  /** A prefix of keys, whole components, without a leading slash; empty: everything. */
  readonly path: string;
  readonly role: AccessRole;
}

export interface AccessKey {
  readonly id: string;
  /** Who it speaks for: owner of what it writes. Several keys may speak for one user. */
  readonly user: string;
  readonly grants: readonly AccessGrant[];
  readonly createdMs: number;
  readonly expiresMs?: number;
}

/** For the one who verifies signatures; never shown. */
export interface KnownAccessKey extends AccessKey {
  readonly secret: string;
  /** A request with this key must carry it. */
  readonly sessionToken?: string;
}

export interface CreateAccessKey {
  readonly user: string;
  readonly grants: readonly AccessGrant[];
  /** Given: the key is temporary and has a session token. */
  readonly lifetimeMs?: number;
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
