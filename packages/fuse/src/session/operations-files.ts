import { DirectoryListing } from "../protocol/directory-listing.ts";
import { Opcode } from "../protocol/opcodes.ts";
import type { IoctlResult, OpenFile } from "../protocol/replies.ts";
import type { Reply } from "../protocol/reply.ts";
import {
  BmapRequest,
  CopyFileRangeRequest,
  FallocateRequest,
  FlushRequest,
  FsyncRequest,
  IoctlRequest,
  LseekRequest,
  OpenRequest,
  PollRequest,
  ReadRequest,
  ReaddirRequest,
  ReleaseRequest,
  requireReplySize,
  WriteRequest,
} from "../protocol/requests-files.ts";
import type { Answer, FileSystem } from "./file-system.ts";
import { encodeNothing, MISSING, operation, type AnyOperation } from "./operation.ts";

function encodeOpen(reply: Reply, file: OpenFile): undefined {
  reply.open(0, file);
}

function releaseOf(request: OpenRequest, file: OpenFile): ReleaseRequest {
  const release = new ReleaseRequest();
  release.inode = request.inode;
  release.handle = file.handle;
  release.flags = request.flags;
  return release;
}

/** Nobody waits for a release, so nobody can be told that it failed. */
function quietly(answer: Answer<void> | undefined): void {
  void Promise.resolve(answer).catch(() => undefined);
}

function encodeCount32(reply: Reply, count: number): undefined {
  reply.count32(count);
}

function encodeCount64(reply: Reply, count: number): undefined {
  reply.count64(count);
}

export const FILE_OPERATIONS: ReadonlyMap<number, AnyOperation> = new Map([
  [
    Opcode.OPEN,
    operation<OpenRequest, OpenFile>({
      name: "open",
      create: () => new OpenRequest(),
      call: (fileSystem, request) => fileSystem.open?.(request) ?? MISSING,
      encode: encodeOpen,
      undo: (fileSystem, file, request) => quietly(fileSystem.release?.(releaseOf(request, file))),
    }),
  ],
  [
    Opcode.OPENDIR,
    operation<OpenRequest, OpenFile>({
      name: "opendir",
      create: () => new OpenRequest(),
      call: (fileSystem, request) => fileSystem.opendir?.(request) ?? MISSING,
      encode: encodeOpen,
      undo: (fileSystem, file, request) => quietly(fileSystem.releasedir?.(releaseOf(request, file))),
    }),
  ],
  [
    Opcode.READ,
    operation<ReadRequest, number | Uint8Array>({
      name: "read",
      fillsReply: true,
      create: () => new ReadRequest(),
      prepare: (request, reply) => {
        requireReplySize(request.sizeBytes, reply.capacityBytes);
        request.memory = reply;
      },
      call: (fileSystem, request) => fileSystem.read?.(request) ?? MISSING,
      encode: (reply, result, request) => {
        const sizeBytes = typeof result === "number" ? result : result.length;
        if (sizeBytes > request.sizeBytes) {
          throw new RangeError(`${request.sizeBytes} bytes were to be read, and ${sizeBytes} were answered`);
        }
        if (typeof result !== "number") return result;
        reply.bodyBytes = result;
        return undefined;
      },
    }),
  ],
  [
    Opcode.WRITE,
    operation<WriteRequest, number>({
      name: "write",
      keepsFrame: true,
      create: () => new WriteRequest(),
      call: (fileSystem, request) => fileSystem.write?.(request) ?? MISSING,
      encode: (reply, written, request) => {
        if (written > request.data.length) {
          throw new RangeError(`${request.data.length} bytes were to be written, and ${written} were answered`);
        }
        reply.count32(written);
        return undefined;
      },
    }),
  ],
  [
    Opcode.FLUSH,
    operation<FlushRequest, void>({
      name: "flush",
      create: () => new FlushRequest(),
      call: (fileSystem, request) => (fileSystem.flush ? fileSystem.flush(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.RELEASE,
    operation<ReleaseRequest, void>({
      name: "release",
      create: () => new ReleaseRequest(),
      call: (fileSystem, request) => (fileSystem.release ? fileSystem.release(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.RELEASEDIR,
    operation<ReleaseRequest, void>({
      name: "releasedir",
      create: () => new ReleaseRequest(),
      call: (fileSystem, request) => (fileSystem.releasedir ? fileSystem.releasedir(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.FSYNC,
    operation<FsyncRequest, void>({
      name: "fsync",
      create: () => new FsyncRequest(),
      call: (fileSystem, request) => (fileSystem.fsync ? fileSystem.fsync(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.FSYNCDIR,
    operation<FsyncRequest, void>({
      name: "fsyncdir",
      create: () => new FsyncRequest(),
      call: (fileSystem, request) => (fileSystem.fsyncdir ? fileSystem.fsyncdir(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [Opcode.READDIR, readdirOperation(false)],
  [Opcode.READDIRPLUS, readdirOperation(true)],
  [
    Opcode.FALLOCATE,
    operation<FallocateRequest, void>({
      name: "fallocate",
      create: () => new FallocateRequest(),
      call: (fileSystem, request) => (fileSystem.fallocate ? fileSystem.fallocate(request) : MISSING),
      encode: encodeNothing,
    }),
  ],
  [
    Opcode.LSEEK,
    operation<LseekRequest, number>({
      name: "lseek",
      create: () => new LseekRequest(),
      call: (fileSystem, request) => fileSystem.lseek?.(request) ?? MISSING,
      encode: encodeCount64,
    }),
  ],
  [Opcode.COPY_FILE_RANGE, copyOperation(encodeCount32)],
  [Opcode.COPY_FILE_RANGE_64, copyOperation(encodeCount64)],
  [
    Opcode.BMAP,
    operation<BmapRequest, number>({
      name: "bmap",
      create: () => new BmapRequest(),
      call: (fileSystem, request) => fileSystem.bmap?.(request) ?? MISSING,
      encode: encodeCount64,
    }),
  ],
  [
    Opcode.IOCTL,
    operation<IoctlRequest, IoctlResult>({
      name: "ioctl",
      keepsFrame: true,
      create: () => new IoctlRequest(),
      call: (fileSystem, request) => fileSystem.ioctl?.(request) ?? MISSING,
      encode: (reply, { result, data }, request) => {
        if (data !== undefined && data.length > request.outBytes) {
          throw new RangeError(`the ioctl passes out ${request.outBytes} bytes, and ${data.length} were answered`);
        }
        reply.ioctl(result);
        return data;
      },
    }),
  ],
  [
    Opcode.POLL,
    operation<PollRequest, number>({
      name: "poll",
      create: () => new PollRequest(),
      call: (fileSystem, request) => fileSystem.poll?.(request) ?? MISSING,
      encode: encodeCount32,
    }),
  ],
]);

function copyOperation(encode: (reply: Reply, count: number) => undefined): AnyOperation {
  return operation<CopyFileRangeRequest, number>({
    name: "copyFileRange",
    create: () => new CopyFileRangeRequest(),
    call: (fileSystem, request) => fileSystem.copyFileRange?.(request) ?? MISSING,
    encode,
  });
}

function readdirOperation(plus: boolean): AnyOperation {
  return operation<ReaddirRequest, void>({
    name: plus ? "readdirplus" : "readdir",
    fillsReply: true,
    create: () => {
      const request = new ReaddirRequest();
      request.listing = new DirectoryListing();
      return request;
    },
    prepare: (request, reply) => {
      requireReplySize(request.sizeBytes, reply.capacityBytes);
      request.listing.begin(reply, request.sizeBytes, plus);
    },
    call: (fileSystem, request) => (fileSystem.readdir ? fileSystem.readdir(request) : MISSING),
    encode: (reply, _nothing, request) => {
      reply.bodyBytes = request.listing.usedBytes;
      return undefined;
    },
    undo: (fileSystem: FileSystem, _nothing, request) => {
      for (const inode of request.listing.counted) fileSystem.forget?.(inode, 1);
    },
  });
}
