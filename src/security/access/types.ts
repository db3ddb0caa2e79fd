/** The words of access: who asks, with what, and what there is to be let into. Every door speaks them. */

/**
 * reader: reads and lists below the path. writer: also writes and deletes there. admin: everything below the path, whoever owns it. user: as an
 * account of S3: makes buckets below the path, does everything with what it owns, and with the rest what access lists and policies allow.
 */
export type AccessRole = "reader" | "writer" | "admin" | "user";

export const ACCESS_ROLES: readonly AccessRole[] = ["reader", "writer", "admin", "user"];

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
  /** The id of the key that made it; absent: the operator, or a key from the configuration. */
  readonly createdBy?: string;
}

/** For the one who verifies signatures and tokens; never shown. */
export interface KnownAccessKey extends AccessKey {
  readonly secret: string;
  /** A request with this key must carry it. */
  readonly sessionToken?: string;
}

/** Who asks, as a signature or a token proved it. */
export interface Identity {
  readonly kind: "user" | "anonymous";
  /** The name of the user; empty for anonymous, and for the operator of a coordinator that asks for no keys. */
  readonly user: string;
  /** 64 hex digits made of the name: S3's canonical id. Empty without a name. */
  readonly userId: string;
  /** `config:NAME` for keys from the configuration; empty where no key was asked for. */
  readonly accessKeyId: string;
  readonly grants: readonly AccessGrant[];
  /** Since when it proves nothing any more; whoever makes keys with it makes none that last longer. */
  readonly expiresMs?: number;
  /** How a signature proved it; absent for tokens and for anonymous. */
  readonly proof?: Proof;
}

export interface Proof {
  /** As policies call it: Signature Version 4, or 2. */
  readonly version: "AWS4-HMAC-SHA256" | "AWS";
  readonly place: "header" | "query" | "form";
}

/** Of a directory at the top of the tree, what decides who gets in. The same object stands for the same state. */
export interface AccessBucket {
  readonly name: string;
  readonly owner?: string;
  /** `policy`, `acl`, `ownership` and `publicAccessBlock` among them. */
  readonly documents: Readonly<Record<string, string>>;
}

/** Of an object, the same. */
export interface AccessObject {
  readonly owner?: string;
  readonly accessList?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** What a request shows of itself, whatever door it came through; conditions of policies ask for it. */
export interface Circumstances {
  readonly address: string | undefined;
  /** Such as `1.3`; undefined: it came without TLS. */
  readonly tlsVersion: string | undefined;
  /** By its name in lower case. */
  header(name: string): string | undefined;
  /** By the name that S3 has for it, such as `prefix`. */
  parameter(name: string): string | undefined;
}
