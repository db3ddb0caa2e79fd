import type { CreateRequest, MkdirRequest, MknodRequest, SymlinkRequest } from "../../protocol/requests-names.ts";
import { PERMISSIONS, SET_GROUP_ID } from "./set-id-bits.ts";
import type { SourceAttributes } from "./source-attributes.ts";
import type { SourceCalls } from "./source-calls.ts";

const ACCESS = 0o777;

export interface NewFile {
  readonly parent: number;
  readonly held: number;
  /** Whether it was made in the name of who asked for it. */
  readonly became: boolean;
  /** Where what the source says of a file may be put. */
  readonly attributes: SourceAttributes;
}

/** Gives a new file what the call that made it could not, and returns the descriptor that holds it. */
export function settleNewFile(
  calls: SourceCalls,
  request: MkdirRequest | MknodRequest | SymlinkRequest | CreateRequest,
  { parent, held, became, attributes }: NewFile,
): number {
  for (const { name, value } of request.extensions.securityContexts) calls.setXattr(held, name, value, 0);
  if (!became && process.geteuid?.() === 0 && (request.uid !== 0 || request.gid !== 0)) {
    const inherits = calls.statusOf(parent, attributes) === 0 && (attributes.mode & SET_GROUP_ID) !== 0;
    calls.chown(held, request.uid, inherits ? -1 : request.gid);
  }
  if ("target" in request) return held;
  const bits = request.mode & PERMISSIONS;
  const masked = (bits & calls.umask) !== 0;
  if (masked || (!became && bits > ACCESS)) {
    calls.statusOf(held, attributes);
    // Where the source has applied the right umask, or an access control list instead of it, that stands.
    const access = calls.appliesUmask ? attributes.mode & ACCESS : bits & ACCESS;
    calls.chmod(held, access | (bits & ~ACCESS) | (attributes.mode & SET_GROUP_ID));
  }
  return held;
}
