import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Dispatcher, type DispatcherPort } from "../session/dispatcher.ts";
import type { FileSystem } from "../session/file-system.ts";
import { requestBytes, structBytes } from "../testing/requests.ts";
import { decodeExtensions } from "./extensions.ts";
import { FuseError } from "./errors.ts";
import { Frame } from "./frame.ts";
import { Opcode } from "./opcodes.ts";
import { InHeader, InitIn, WriteIn } from "./structs-in.ts";

const FRAME_BYTES = 8192;
/** Memory behind a request that is left of an earlier one. If it is ever seen, the bounds were not kept. */
const OLD = 0x5a;

function dispatcherOver(fileSystem: FileSystem, sent: Buffer[]): Dispatcher {
  const port: DispatcherPort = {
    send: (reply, data) => {
      sent.push(Buffer.concat([reply.bytes.subarray(0, reply.lengthBytes), data ?? Buffer.alloc(0)]));
      return true;
    },
    onProblem: (error) => {
      throw error;
    },
    onNegotiated: () => undefined,
    onRetrieved: () => undefined,
    releaseFrame: () => undefined,
  };
  const limits = { maxInFlight: 8, maxKept: 8, replyBytes: 131_072 };
  return new Dispatcher({ fileSystem, port }, { features: {}, limits });
}

/** Fills the frame with one request, and its rest with what was there before. */
function load(frame: Frame, bytes: Buffer): number {
  frame.bytes.fill(OLD);
  bytes.copy(frame.bytes);
  return bytes.length;
}

const init = requestBytes(
  Opcode.INIT,
  structBytes(InitIn, { major: 7, minor: 45, max_readahead: 131_072, flags: 0x4000_0000 }),
);

/** A file system that remembers every string and buffer that it was given. */
function recorder(seen: (string | Buffer)[]): FileSystem {
  const record = (request: object): -38 => {
    for (const value of Object.values(request)) {
      if (typeof value === "string" || Buffer.isBuffer(value)) seen.push(value);
    }
    return -38;
  };
  const operations: Record<string, unknown> = {};
  const names =
    "lookup getattr statx setattr access readlink symlink mknod mkdir unlink rmdir rename link open create tmpfile read write flush release fsync fallocate lseek copyFileRange bmap ioctl poll opendir readdir releasedir fsyncdir statfs syncfs setxattr getxattr listxattr removexattr getlk setlk";
  for (const name of names.split(" ")) operations[name] = record;
  return operations as unknown as FileSystem;
}

describe("a frame that cannot be", () => {
  const opcodes = [...Object.values(Opcode), 4096, 54, 0];

  test("is answered, or refused with a Protocol error; nothing behind it is ever read", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...opcodes),
        fc.uint8Array({ maxLength: 200 }),
        fc.nat({ max: 30 }),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        (opcode, array, extensions, inode) => {
          const seen: (string | Buffer)[] = [];
          const sent: Buffer[] = [];
          const dispatcher = dispatcherOver(recorder(seen), sent);
          const frame = new Frame(Buffer.alloc(FRAME_BYTES), false);
          dispatcher.dispatch(frame, load(frame, init));
          const body = Buffer.from(array).map((byte) => (byte === OLD ? 0 : byte)) as Buffer;
          const bytes = requestBytes(opcode, body, { inode, extensionBytes: extensions * 8 });
          try {
            dispatcher.dispatch(frame, load(frame, bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(FuseError);
            expect((error as FuseError).code).toMatch(/Protocol|Unsupported/);
          }
          const old = String.fromCharCode(OLD);
          for (const value of seen) {
            expect(typeof value === "string" ? value.includes(old) : value.includes(OLD)).toBe(false);
          }
          for (const reply of sent) expect(reply.readUInt32LE(0)).toBe(reply.length);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("is refused when its length is not what was read", () => {
    const frame = new Frame(Buffer.alloc(FRAME_BYTES), false);
    const bytes = requestBytes(Opcode.GETATTR, Buffer.alloc(16));
    for (const cut of [0, 10, InHeader.sizeBytes - 1, bytes.length - 1, bytes.length + 1]) {
      load(frame, bytes);
      expect(() => frame.parse(cut)).toThrow("breaks the FUSE protocol");
    }
  });

  test("is refused when it announces more data than it has", () => {
    const dispatcher = dispatcherOver(recorder([]), []);
    const frame = new Frame(Buffer.alloc(FRAME_BYTES), false);
    dispatcher.dispatch(frame, load(frame, init));
    const lying = Buffer.concat([structBytes(WriteIn, { fh: 1n, size: 4096 }), Buffer.from("short")]);
    const bytes = requestBytes(Opcode.WRITE, lying);
    expect(() => dispatcher.dispatch(frame, load(frame, bytes))).toThrow("WRITE announces 4096 bytes and has 5");
  });

  test("is refused before INIT", () => {
    const dispatcher = dispatcherOver(recorder([]), []);
    const frame = new Frame(Buffer.alloc(FRAME_BYTES), false);
    const bytes = requestBytes(Opcode.GETATTR, Buffer.alloc(16));
    expect(() => dispatcher.dispatch(frame, load(frame, bytes))).toThrow("INIT does not come first");
  });

  test("has extensions that end within it, or is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (array) => {
        try {
          const { securityContexts, supplementaryGroups } = decodeExtensions(Buffer.from(array));
          const values = securityContexts.reduce((sum, { value }) => sum + value.length, 0);
          expect(values + supplementaryGroups.length * 4).toBeLessThanOrEqual(array.length);
        } catch (error) {
          expect((error as FuseError).code).toBe("Protocol");
        }
      }),
      { numRuns: 2000 },
    );
  });
});
