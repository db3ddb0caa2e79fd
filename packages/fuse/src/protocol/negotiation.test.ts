import { describe, expect, test } from "vitest";
import { requestBytes, structBytes } from "../testing/requests.ts";
import { InitBit } from "./flags.ts";
import { Frame } from "./frame.ts";
import { maxWriteBytes, negotiate, type Features } from "./negotiation.ts";
import { Opcode } from "./opcodes.ts";
import { Reply } from "./reply.ts";
import { InitIn } from "./structs-in.ts";
import { InitOut, OutHeader } from "./structs-out.ts";

const ALL = 0xffff_ffff;
const word = (reply: Reply, field: number): number => reply.bytes.readUInt32LE(OutHeader.sizeBytes + field);

function agree(
  offer: { major?: number; minor: number; flags?: number; flags2?: number },
  features: Features = {},
  hasLocks = false,
): { negotiated: ReturnType<typeof negotiate>; reply: Reply } {
  const fields = { major: 7, max_readahead: 131_072, flags: ALL, flags2: ALL, ...offer };
  const bytes = requestBytes(Opcode.INIT, structBytes(InitIn, fields));
  const frame = new Frame(bytes, false);
  frame.parse(bytes.length);
  const reply = new Reply(InitOut.sizeBytes);
  reply.begin(frame.unique, 0);
  return { negotiated: negotiate(frame, reply, { features, hasLocks }), reply };
}

describe("negotiation", () => {
  test("takes the smaller minor version, and the newest one of both sides", () => {
    expect(agree({ minor: 31 }).negotiated?.minor).toBe(31);
    expect(agree({ minor: 45 }).negotiated?.minor).toBe(45);
    expect(agree({ minor: 99 }).negotiated?.minor).toBe(45);
  });

  test("refuses kernels that are too old with a sentence, and lets a newer major version ask again", () => {
    expect(() => agree({ minor: 30 })).toThrow("use Linux 5.4 or later");
    const { negotiated, reply } = agree({ major: 8, minor: 0 });
    expect(negotiated).toBeUndefined();
    expect(word(reply, InitOut.at.major)).toBe(7);
  });

  test("asks only for what was offered", () => {
    const bit = 1 << InitBit.ASYNC_READ;
    const { negotiated, reply } = agree({ minor: 31, flags: bit, flags2: ALL }, { writebackCache: true });
    expect(negotiated?.bits).toEqual([InitBit.ASYNC_READ]);
    expect(word(reply, InitOut.at.flags)).toBe(bit);
    expect(word(reply, InitOut.at.flags2)).toBe(0);
    // Without MAX_PAGES, 32 pages are all that a request can have.
    expect(negotiated?.maxWriteBytes).toBe(131_072);
  });

  test("reads the short request of a kernel before 7.36", () => {
    const body = structBytes(InitIn, { major: 7, minor: 35, max_readahead: 4096, flags: 0x2000_0001 }).subarray(0, 16);
    const bytes = requestBytes(Opcode.INIT, body);
    const frame = new Frame(bytes, false);
    frame.parse(bytes.length);
    const reply = new Reply(InitOut.sizeBytes);
    const negotiated = negotiate(frame, reply, { features: {}, hasLocks: false });
    expect(negotiated).toMatchObject({ minor: 35, setxattrExtended: true, maxReadaheadBytes: 4096 });
  });

  const switches: readonly (readonly [Features, number])[] = [
    [{ writebackCache: true }, InitBit.WRITEBACK_CACHE],
    [{ atomicTruncate: true }, InitBit.ATOMIC_O_TRUNC],
    [{ posixLocks: true }, InitBit.POSIX_LOCKS],
    [{ flockLocks: true }, InitBit.FLOCK_LOCKS],
    [{ exportSupport: true }, InitBit.EXPORT_SUPPORT],
    [{ exportSupport: false }, InitBit.NO_EXPORT_SUPPORT],
    [{ umaskInServer: true }, InitBit.DONT_MASK],
    [{ cacheSymlinks: true }, InitBit.CACHE_SYMLINKS],
    [{ explicitInvalidation: true }, InitBit.EXPLICIT_INVAL_DATA],
    [{ killPrivileges: true }, InitBit.HANDLE_KILLPRIV_V2],
    [{ posixAcl: true }, InitBit.POSIX_ACL],
    [{ securityContexts: true }, InitBit.SECURITY_CTX],
    [{ supplementaryGroups: true }, InitBit.CREATE_SUPP_GROUP],
    [{ directIoMmap: true }, InitBit.DIRECT_IO_ALLOW_MMAP],
    [{ passthrough: true }, InitBit.PASSTHROUGH],
    [{ idMapping: true }, InitBit.ALLOW_IDMAP],
    [{ requestTimeoutS: 60 }, InitBit.REQUEST_TIMEOUT],
  ];
  test.each(switches)("%j asks for bit %i, and nothing else does", (features, bit) => {
    expect(agree({ minor: 45 }, features).negotiated?.bits).toContain(bit);
    expect(agree({ minor: 45 }).negotiated?.bits).not.toContain(bit);
  });

  const defaults: readonly (readonly [Features, number])[] = [
    [{ asyncRead: false }, InitBit.ASYNC_READ],
    [{ asyncDirectIo: false }, InitBit.ASYNC_DIO],
    [{ parallelDirectoryOperations: false }, InitBit.PARALLEL_DIROPS],
    [{ readdirplus: "never" }, InitBit.DO_READDIRPLUS],
    [{ readdirplus: "always" }, InitBit.READDIRPLUS_AUTO],
    [{ automaticInvalidation: false }, InitBit.AUTO_INVAL_DATA],
    [{ explicitInvalidation: true }, InitBit.AUTO_INVAL_DATA],
  ];
  test.each(defaults)("%j leaves bit %i out, which is asked for otherwise", (features, bit) => {
    expect(agree({ minor: 45 }, features).negotiated?.bits).not.toContain(bit);
    expect(agree({ minor: 45 }).negotiated?.bits).toContain(bit);
  });

  test("locks come to a file system that has them", () => {
    expect(agree({ minor: 45 }, {}, true).negotiated?.bits).toContain(InitBit.POSIX_LOCKS);
    expect(agree({ minor: 45 }, { posixLocks: false }, true).negotiated?.bits).not.toContain(InitBit.POSIX_LOCKS);
  });

  test("numbers go to the kernel", () => {
    const features = {
      maxWriteBytes: 262_144,
      maxReadaheadBytes: 65_536,
      maxBackground: 20,
      congestionThreshold: 10,
      timeGranularityNs: 1000,
      requestTimeoutS: 30,
      passthrough: true,
    };
    const { reply, negotiated } = agree({ minor: 45 }, features);
    const at = InitOut.at;
    expect(word(reply, at.max_write)).toBe(262_144);
    expect(word(reply, at.max_pages)).toBe(64);
    expect(word(reply, at.max_readahead)).toBe(65_536);
    expect(word(reply, at.max_background)).toBe(20 | (10 << 16));
    expect(word(reply, at.time_gran)).toBe(1000);
    expect(word(reply, at.request_timeout)).toBe(30);
    expect(word(reply, at.max_stack_depth)).toBe(1);
    expect(negotiated?.maxWriteBytes).toBe(262_144);
  });

  test("writes are at least a page and at most what 16 bits count of them", () => {
    expect(maxWriteBytes({ maxWriteBytes: 1 })).toBe(4096);
    expect(maxWriteBytes({})).toBe(1_048_576);
    expect(maxWriteBytes({ maxWriteBytes: 1e12 })).toBe(65_535 * 4096);
  });
});
