import { FuseError } from "./errors.ts";
import { InitBit, PROTOCOL_MAJOR, PROTOCOL_MINOR_NEWEST, PROTOCOL_MINOR_OLDEST } from "./flags.ts";
import type { Frame } from "./frame.ts";
import type { Reply } from "./reply.ts";
import type { Dialect } from "./request.ts";
import { INIT_IN_COMPAT_BYTES, InitIn } from "./structs-in.ts";
import { InitOut } from "./structs-out.ts";

const PAGE_BYTES = 4096;
const MIB = 1_048_576;
/** What a kernel without FUSE_MAX_PAGES puts into one request. */
const COMPAT_PAGES = 32;
const MOST_PAGES = 65_535;

/**
 * What a file system wants of the kernel. What the kernel does not offer is left out; `Negotiated` says what came of it. The numbers are
 * upper limits, and the kernel may lower them further.
 */
export interface Features {
  /**
   * The most bytes in one read or write, 1 MiB if nothing is said. The kernel's own limit is /proc/sys/fs/fuse/max_pages_limit. For more than 1 MiB in a
   * read it has to be among the options of the mount, or of a file system in the main thread, as it is mounted before a module was loaded.
   */
  readonly maxWriteBytes?: number;
  /** The most bytes the kernel reads ahead. */
  readonly maxReadaheadBytes?: number;
  /** How many requests that nobody waits for (read-ahead, write-back) are under way at most; 64 if nothing is said. */
  readonly maxBackground?: number;
  /** From how many of those on the kernel thinks us busy; three quarters of `maxBackground` if nothing is said. */
  readonly congestionThreshold?: number;
  /** In which steps the file system keeps times. 1 if nothing is said. */
  readonly timeGranularityNs?: number;
  /** After how many seconds without an answer the kernel gives the whole file system up. Linux 6.15 and later. */
  readonly requestTimeoutS?: number;
  /** Reads of one file may come at the same time and in any order. On unless false. */
  readonly asyncRead?: boolean;
  /** Direct reads and writes are cut into requests that run at the same time. On unless false. */
  readonly asyncDirectIo?: boolean;
  /** Lookups and listings of one directory may come at the same time. On unless false. */
  readonly parallelDirectoryOperations?: boolean;
  /** Listings that bring attributes along: when the kernel thinks it pays, each time, or not at all. Adaptive if nothing is said. */
  readonly readdirplus?: "adaptive" | "always" | "never";
  /** The kernel drops its cached data when size or mtime changed on our side. On unless false. */
  readonly automaticInvalidation?: boolean;
  /** The kernel drops cached data only when it is notified. Excludes `automaticInvalidation`. */
  readonly explicitInvalidation?: boolean;
  /** The kernel collects writes and keeps size and mtime itself. */
  readonly writebackCache?: boolean;
  /** O_TRUNC comes with open, instead of a setattr behind it. */
  readonly atomicTruncate?: boolean;
  /** POSIX locks come to us. On if the file system has `setlk`. */
  readonly posixLocks?: boolean;
  /** flock(2) comes to us. On if the file system has `setlk`. */
  readonly flockLocks?: boolean;
  /** `lookup` understands "." and "..", so that handles of a file system exported over NFS stay good. */
  readonly exportSupport?: boolean;
  /** The umask is not applied by the kernel; requests bring it. */
  readonly umaskInServer?: boolean;
  /** Targets of symbolic links are cached. */
  readonly cacheSymlinks?: boolean;
  /** We clear set-user-id and set-group-id where requests say `killPrivileges`; spares a getxattr for each write. */
  readonly killPrivileges?: boolean;
  /** POSIX access control lists are attributes that the kernel enforces. */
  readonly posixAcl?: boolean;
  /** New files bring the label that a security module wants on them. */
  readonly securityContexts?: boolean;
  /** New files bring the caller's group that matters for their directory. */
  readonly supplementaryGroups?: boolean;
  /** mmap works on files that were opened with DIRECT_IO. */
  readonly directIoMmap?: boolean;
  /** Files may be opened with PASSTHROUGH. */
  readonly passthrough?: boolean;
  /** The file system may be mounted with mapped ids. */
  readonly idMapping?: boolean;
}

/** What the kernel and we agreed on. */
export interface Negotiated extends Dialect {
  /** Of protocol 7. */
  readonly minor: number;
  readonly kernelMinor: number;
  readonly maxWriteBytes: number;
  readonly maxReadaheadBytes: number;
  /** The bits of `InitBit` that both sides have. */
  readonly bits: readonly number[];
  /** The bits of `InitBit` that the kernel offered. */
  readonly offered: readonly number[];
}

interface Offer {
  readonly major: number;
  readonly minor: number;
  readonly maxReadaheadBytes: number;
  readonly low: number;
  readonly high: number;
}

export function maxWriteBytes(features: Features): number {
  const wanted = features.maxWriteBytes ?? MIB;
  return Math.min(Math.max(Math.ceil(wanted / PAGE_BYTES), 1), MOST_PAGES) * PAGE_BYTES;
}

/** The bits to ask for. Those that tell nothing but our ability to read a longer structure are always asked for. */
function wantedBits(features: Features, hasLocks: boolean): ReadonlySet<number> {
  const always = [InitBit.BIG_WRITES, InitBit.MAX_PAGES, InitBit.INIT_EXT, InitBit.ABORT_ERROR, InitBit.HAS_IOCTL_DIR];
  const wanted = new Set<number>([...always, InitBit.SETXATTR_EXT, InitBit.HAS_EXPIRE_ONLY]);
  const choose = (bit: number, on: boolean): void => void (on && wanted.add(bit));
  choose(InitBit.ASYNC_READ, features.asyncRead !== false);
  choose(InitBit.ASYNC_DIO, features.asyncDirectIo !== false);
  choose(InitBit.PARALLEL_DIROPS, features.parallelDirectoryOperations !== false);
  choose(InitBit.DO_READDIRPLUS, features.readdirplus !== "never");
  choose(InitBit.READDIRPLUS_AUTO, (features.readdirplus ?? "adaptive") === "adaptive");
  choose(InitBit.EXPLICIT_INVAL_DATA, features.explicitInvalidation === true);
  choose(InitBit.AUTO_INVAL_DATA, features.explicitInvalidation !== true && features.automaticInvalidation !== false);
  choose(InitBit.WRITEBACK_CACHE, features.writebackCache === true);
  choose(InitBit.ATOMIC_O_TRUNC, features.atomicTruncate === true);
  choose(InitBit.POSIX_LOCKS, features.posixLocks ?? hasLocks);
  choose(InitBit.FLOCK_LOCKS, features.flockLocks ?? hasLocks);
  choose(InitBit.EXPORT_SUPPORT, features.exportSupport === true);
  choose(InitBit.NO_EXPORT_SUPPORT, features.exportSupport === false);
  choose(InitBit.DONT_MASK, features.umaskInServer === true);
  choose(InitBit.CACHE_SYMLINKS, features.cacheSymlinks === true);
  choose(InitBit.HANDLE_KILLPRIV_V2, features.killPrivileges === true);
  choose(InitBit.POSIX_ACL, features.posixAcl === true);
  choose(InitBit.SECURITY_CTX, features.securityContexts === true);
  choose(InitBit.CREATE_SUPP_GROUP, features.supplementaryGroups === true);
  choose(InitBit.DIRECT_IO_ALLOW_MMAP, features.directIoMmap === true);
  choose(InitBit.PASSTHROUGH, features.passthrough === true);
  choose(InitBit.ALLOW_IDMAP, features.idMapping === true);
  choose(InitBit.REQUEST_TIMEOUT, features.requestTimeoutS !== undefined);
  return wanted;
}

function readOffer(frame: Frame): Offer {
  frame.require(INIT_IN_COMPAT_BYTES);
  const at = InitIn.at;
  const low = frame.u32(at.flags);
  const extended = (low & (1 << InitBit.INIT_EXT)) !== 0;
  if (extended) frame.require(InitIn.sizeBytes);
  return {
    major: frame.u32(at.major),
    minor: frame.u32(at.minor),
    maxReadaheadBytes: frame.u32(at.max_readahead),
    low,
    high: extended ? frame.u32(at.flags2) : 0,
  };
}

/**
 * Answers INIT in `reply`. Undefined if the kernel speaks a newer major version: it will then ask again with ours.
 * Throws `Unsupported` for a kernel that is too old.
 */
export function negotiate(
  frame: Frame,
  reply: Reply,
  wishes: { readonly features: Features; readonly hasLocks: boolean },
): Negotiated | undefined {
  const { features } = wishes;
  const offer = readOffer(frame);
  reply.zero(0, InitOut.sizeBytes);
  reply.u32(InitOut.at.major, PROTOCOL_MAJOR);
  reply.u32(InitOut.at.minor, PROTOCOL_MINOR_NEWEST);
  reply.bodyBytes = InitOut.sizeBytes;
  if (offer.major > PROTOCOL_MAJOR) return undefined;
  if (offer.major < PROTOCOL_MAJOR || offer.minor < PROTOCOL_MINOR_OLDEST) {
    throw new FuseError(
      "Unsupported",
      `This kernel speaks FUSE ${offer.major}.${offer.minor}, and 7.${PROTOCOL_MINOR_OLDEST} is needed: use Linux 5.4 or later.`,
    );
  }
  const minor = Math.min(offer.minor, PROTOCOL_MINOR_NEWEST);
  const offered = bitsOf(offer.low, offer.high);
  const wanted = wantedBits(features, wishes.hasLocks);
  const bits = offered.filter((bit) => wanted.has(bit));
  const has = (bit: number): boolean => bits.includes(bit);
  const largest = has(InitBit.MAX_PAGES) ? maxWriteBytes(features) : COMPAT_PAGES * PAGE_BYTES;
  const writeBytes = Math.min(maxWriteBytes(features), largest);
  const readaheadBytes = Math.min(offer.maxReadaheadBytes, features.maxReadaheadBytes ?? offer.maxReadaheadBytes);
  const background = clamp16(features.maxBackground ?? 64);
  const at = InitOut.at;
  reply.u32(at.minor, minor);
  reply.u32(at.max_readahead, readaheadBytes);
  reply.u32(at.flags, wordOf(bits, 0));
  reply.u32(at.flags2, has(InitBit.INIT_EXT) ? wordOf(bits, 32) : 0);
  reply.u32(at.max_background, background | (clamp16(features.congestionThreshold ?? (background * 3) / 4) << 16));
  reply.u32(at.max_write, writeBytes);
  reply.u32(at.time_gran, features.timeGranularityNs ?? 1);
  reply.u32(at.max_pages, has(InitBit.MAX_PAGES) ? writeBytes / PAGE_BYTES : 0);
  // One level below us is all that passthrough needs.
  reply.u32(at.max_stack_depth, has(InitBit.PASSTHROUGH) ? 1 : 0);
  reply.u32(at.request_timeout, has(InitBit.REQUEST_TIMEOUT) ? clamp16(features.requestTimeoutS ?? 0) : 0);
  return {
    minor,
    kernelMinor: offer.minor,
    maxWriteBytes: writeBytes,
    maxReadaheadBytes: readaheadBytes,
    bits,
    offered,
    setxattrExtended: has(InitBit.SETXATTR_EXT),
  };
}

function bitsOf(low: number, high: number): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < 32; bit += 1) if (((low >>> bit) & 1) === 1) bits.push(bit);
  for (let bit = 0; bit < 32; bit += 1) if (((high >>> bit) & 1) === 1) bits.push(bit + 32);
  return bits;
}

function wordOf(bits: readonly number[], first: number): number {
  let word = 0;
  for (const bit of bits) if (bit >= first && bit < first + 32) word |= 1 << (bit - first);
  return word >>> 0;
}

function clamp16(value: number): number {
  if (!(value >= 0)) throw new FuseError("Unsupported", `${value} is no limit: use a number from 0 to 65535.`);
  return Math.min(Math.floor(value), 0xffff);
}
