import { protocolError } from "./errors.ts";
import { EXTENSION_GROUPS, MAX_SECURITY_CONTEXTS } from "./flags.ts";
import { ExtHeader, Secctx } from "./structs-in.ts";

/** An extended attribute that a security module wants on the new file, such as `security.selinux`. */
export interface SecurityContext {
  readonly name: string;
  readonly value: Buffer;
}

/** What follows a request that makes a file. */
export interface Extensions {
  readonly securityContexts: readonly SecurityContext[];
  /** The group of the directory, if the caller is in it by way of a supplementary group. */
  readonly supplementaryGroups: readonly number[];
}

export const NO_EXTENSIONS: Extensions = { securityContexts: [], supplementaryGroups: [] };

/** Decodes the extensions of a create, mkdir, mknod, symlink or tmpfile request. Unknown ones are skipped, as the kernel wants it. */
export function decodeExtensions(bytes: Buffer): Extensions {
  const securityContexts: SecurityContext[] = [];
  const supplementaryGroups: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < ExtHeader.sizeBytes) throw protocolError("an extension is cut off");
    const sizeBytes = bytes.readUInt32LE(at + ExtHeader.at.size);
    const type = bytes.readUInt32LE(at + ExtHeader.at.type);
    if (sizeBytes < ExtHeader.sizeBytes || sizeBytes > bytes.length - at) {
      throw protocolError(`an extension says it has ${sizeBytes} bytes`);
    }
    const body = bytes.subarray(at + ExtHeader.sizeBytes, at + sizeBytes);
    if (type <= MAX_SECURITY_CONTEXTS) securityContexts.push(...decodeSecurityContexts(body, type));
    else if (type === EXTENSION_GROUPS) supplementaryGroups.push(...decodeGroups(body));
    at += align(sizeBytes);
  }
  return { securityContexts, supplementaryGroups };
}

function decodeSecurityContexts(body: Buffer, count: number): SecurityContext[] {
  const found: SecurityContext[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (body.length - at < Secctx.sizeBytes) throw protocolError("a security context is cut off");
    const valueBytes = body.readUInt32LE(at + Secctx.at.size);
    const nameStart = at + Secctx.sizeBytes;
    const nameEnd = body.indexOf(0, nameStart);
    const valueEnd = nameEnd + 1 + valueBytes;
    if (nameEnd < nameStart || valueEnd > body.length) throw protocolError("a security context does not end");
    found.push({ name: body.toString("utf8", nameStart, nameEnd), value: body.subarray(nameEnd + 1, valueEnd) });
    at = align(valueEnd);
  }
  return found;
}

function decodeGroups(body: Buffer): number[] {
  if (body.length < 4) throw protocolError("a list of groups is cut off");
  const count = body.readUInt32LE(0);
  if (4 + count * 4 > body.length) throw protocolError(`a list of ${count} groups has ${body.length} bytes`);
  return Array.from({ length: count }, (_, index) => body.readUInt32LE(4 + index * 4));
}

function align(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 8) * 8;
}
