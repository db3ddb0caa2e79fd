import { Errno } from "../protocol/errors.ts";
import { encodeName, nameBytes } from "../protocol/names.ts";
import { Opcode } from "../protocol/opcodes.ts";
import type { ExtendedStatus, FileStatus, FileSystemStatus, HeldLock } from "../protocol/replies.ts";
import type { Reply } from "../protocol/reply.ts";
import { PlainRequest } from "../protocol/request.ts";
import {
  AccessRequest,
  GetattrRequest,
  GetxattrRequest,
  ListxattrRequest,
  LockRequest,
  RemovexattrRequest,
  SetattrRequest,
  SetxattrRequest,
  StatxRequest,
} from "../protocol/requests-attributes.ts";
import { encodeNothing, MISSING, operation, type AnyOperation } from "./operation.ts";

/** What a file system without `statfs` says: that there is no telling. */
const UNKNOWN_STATUS: FileSystemStatus = {
  blockSizeBytes: 512,
  blocks: 0,
  freeBlocks: 0,
  availableBlocks: 0,
  files: 0,
  freeFiles: 0,
  nameLimitBytes: 255,
};

function encodeStatus(reply: Reply, status: FileStatus): undefined {
  reply.status(status);
}

/** Extended attributes are asked for twice: for their size, and then for themselves with as much room. */
function encodeSized(reply: Reply, value: Uint8Array, roomBytes: number): Uint8Array | undefined {
  if (roomBytes === 0) {
    reply.count32(value.length);
    return undefined;
  }
  if (value.length > roomBytes) throw Object.assign(new RangeError("too little room"), { errno: Errno.ERANGE });
  return value;
}

function lockOperation(): AnyOperation {
  return operation<LockRequest, void>({
    name: "setlk",
    create: () => new LockRequest(),
    call: (fileSystem, request) => (fileSystem.setlk ? fileSystem.setlk(request) : MISSING),
    encode: encodeNothing,
  });
}

export const ATTRIBUTE_OPERATIONS: ReadonlyMap<number, AnyOperation> = new Map([
  [
    Opcode.GETATTR,
    operation<GetattrRequest, FileStatus>({
      name: "getattr",
      create: () => new GetattrRequest(),
      call: (fileSystem, request) => fileSystem.getattr(request),
      encode: encodeStatus,
    }),
  ],
  [
    Opcode.STATX,
    operation<StatxRequest, ExtendedStatus>({
      name: "statx",
      create: () => new StatxRequest(),
      call: (fileSystem, request) => fileSystem.statx?.(request) ?? MISSING,
      encode: (reply, status) => {
        reply.extendedStatus(status);
        return undefined;
      },
    }),
  ],
  [
    Opcode.SETATTR,
    operation<SetattrRequest, FileStatus>({
      name: "setattr",
      create: () => new SetattrRequest(),
      call: (fileSystem, request) => fileSystem.setattr?.(request) ?? MISSING,
      encode: encodeStatus,
    }),
  ],
  [
    Opcode.ACCESS,
    operation<AccessRequest, void>({
      name: "access",
      create: () => new AccessRequest(),
      call: (fileSystem, request) => (fileSystem.access ? fileSystem.access(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.READLINK,
    operation<PlainRequest, string | Uint8Array>({
      name: "readlink",
      create: () => new PlainRequest(),
      call: (fileSystem, request) => fileSystem.readlink?.(request) ?? MISSING,
      encode: (reply, target) => {
        if (typeof target !== "string") return target;
        if (!reply.hasRoomFor(target, 0)) throw new RangeError("the target of the link is longer than a reply");
        reply.bodyBytes = reply.name(target, 0);
        return undefined;
      },
    }),
  ],
  [
    Opcode.STATFS,
    operation<PlainRequest, FileSystemStatus>({
      name: "statfs",
      create: () => new PlainRequest(),
      call: (fileSystem, request) => fileSystem.statfs?.(request) ?? UNKNOWN_STATUS,
      encode: (reply, status) => {
        reply.fileSystemStatus(status);
        return undefined;
      },
    }),
  ],
  [
    Opcode.SYNCFS,
    operation<PlainRequest, void>({
      name: "syncfs",
      create: () => new PlainRequest(),
      call: (fileSystem, request) => (fileSystem.syncfs ? fileSystem.syncfs(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.SETXATTR,
    operation<SetxattrRequest, void>({
      name: "setxattr",
      keepsFrame: true,
      create: () => new SetxattrRequest(),
      call: (fileSystem, request) => (fileSystem.setxattr ? fileSystem.setxattr(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.GETXATTR,
    operation<GetxattrRequest, Uint8Array>({
      name: "getxattr",
      create: () => new GetxattrRequest(),
      call: (fileSystem, request) => fileSystem.getxattr?.(request) ?? MISSING,
      encode: (reply, value, request) => encodeSized(reply, value, request.sizeBytes),
    }),
  ],
  [
    Opcode.LISTXATTR,
    operation<ListxattrRequest, readonly string[]>({
      name: "listxattr",
      create: () => new ListxattrRequest(),
      call: (fileSystem, request) => fileSystem.listxattr?.(request) ?? MISSING,
      encode: (reply, names, request) => encodeSized(reply, joinNames(names), request.sizeBytes),
    }),
  ],
  [
    Opcode.REMOVEXATTR,
    operation<RemovexattrRequest, void>({
      name: "removexattr",
      create: () => new RemovexattrRequest(),
      call: (fileSystem, request) => (fileSystem.removexattr ? fileSystem.removexattr(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.GETLK,
    operation<LockRequest, HeldLock>({
      name: "getlk",
      create: () => new LockRequest(),
      call: (fileSystem, request) => fileSystem.getlk?.(request) ?? MISSING,
      encode: (reply, lock) => {
        reply.lock(lock);
        return undefined;
      },
    }),
  ],
  [Opcode.SETLK, lockOperation()],
  [Opcode.SETLKW, lockOperation()],
]);

/** Names with a zero byte behind each, as listxattr(2) returns them. */
function joinNames(names: readonly string[]): Buffer {
  const bytes = Buffer.alloc(names.reduce((sum, name) => sum + nameBytes(name) + 1, 0));
  let at = 0;
  for (const name of names) at += encodeName(name, bytes, at) + 1;
  return bytes;
}
