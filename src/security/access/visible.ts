import { covers } from "./grants.ts";
import type { AccessGrant, Identity } from "./types.ts";

/** What a key may see of a listing that begins higher up than its grants: the way to them, and what lies below. */
export interface VisiblePart {
  /** All keys that begin with it, or with `exact` this one alone. */
  readonly prefix: string;
  readonly exact?: true;
}

/** Undefined: everything below the prefix. Otherwise parts in the order of keys, none within another. By grants alone; policies are asked about each. */
export function visibleParts({ grants }: Identity, prefix: string): readonly VisiblePart[] | undefined {
  const readable = grants.filter(({ role }) => role !== "user");
  if (readable.some((grant) => coversListing(grant, prefix))) return undefined;
  const parts = readable.flatMap(({ path }): VisiblePart[] => [
    ...(path.startsWith(prefix) ? [{ prefix: path, exact: true } as const] : []),
    ...(`${path}/`.startsWith(prefix) ? [{ prefix: `${path}/` }] : []),
  ]);
  return inOrder(parts);
}

/** A prefix that ends where the grant's path does would also list the neighbours whose names begin so. */
export function coversListing({ path, role }: AccessGrant, listed: string): boolean {
  return role !== "user" && covers(path, listed) && (path === "" || listed.length > path.length);
}

export function inOrder(parts: readonly VisiblePart[]): readonly VisiblePart[] {
  const whole = parts.filter(({ exact }) => exact !== true).map(({ prefix }) => prefix);
  const kept = parts.filter(
    ({ prefix, exact }) => !whole.some((other) => prefix.startsWith(other) && (exact === true || prefix !== other)),
  );
  const seen = new Map(kept.map((part) => [`${part.exact === true ? "=" : "/"}${part.prefix}`, part]));
  return [...seen.values()].toSorted((one, other) =>
    Buffer.compare(Buffer.from(one.prefix), Buffer.from(other.prefix)),
  );
}
