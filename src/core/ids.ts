/** Branded identities, so that a site name is never passed where a key is meant. */

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A name of a place that stores data: lower-case letters, digits and dashes. */
export type SiteName = Brand<string, "SiteName">;
/** The file's path in the namespace: no leading slash, components joined by single slashes. */
export type FilePath = Brand<string, "FilePath">;
/** A ULID; later versions sort after earlier ones made by the same process. */
export type VersionId = Brand<string, "VersionId">;
/** A number below 2^53, never reused. */
export type Inode = Brand<number, "Inode">;
/** Who has files open, or caches what it read. */
export type SessionId = Brand<string, "SessionId">;
export type JobId = Brand<string, "JobId">;

export const ROOT_INODE = 1 as Inode;
