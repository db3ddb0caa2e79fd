import { constants } from "node:os";

const numbers = constants.errno;

/** The codes of a `FuseError`, each for one thing a caller may want to tell apart. */
export type FuseErrorCode =
  | "Protocol"
  | "Unsupported"
  | "NoDevice"
  | "NoPermission"
  | "NoDirectory"
  | "NoProgram"
  | "Busy"
  | "MountFailed"
  | "FileSystemFailed"
  | "Closed";

/** Everything this library throws. The message is a sentence that says what to do. */
export class FuseError extends Error {
  override readonly name = "FuseError";
  readonly code: FuseErrorCode;

  constructor(code: FuseErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** A frame of the kernel that contradicts the protocol. It ends the session: nothing that follows could be trusted. */
export function protocolError(what: string): FuseError {
  return new FuseError(
    "Protocol",
    `The kernel sent a frame that breaks the FUSE protocol: ${what}. The file system is unmounted; mount it again, and report this.`,
  );
}

/**
 * What an operation answers instead of a result, as the kernel counts: negative. An operation may return one of these, or throw an error
 * that carries one, as those of `node:fs` do.
 */
export const Errno = {
  EPERM: -1,
  ENOENT: -2,
  EINTR: -4,
  EIO: -5,
  ENXIO: -6,
  E2BIG: -7,
  EBADF: -9,
  EAGAIN: -11,
  ENOMEM: -12,
  EACCES: -13,
  EBUSY: -16,
  EEXIST: -17,
  EXDEV: -18,
  ENODEV: -19,
  ENOTDIR: -20,
  EISDIR: -21,
  EINVAL: -22,
  EMFILE: -24,
  ENOTTY: -25,
  ETXTBSY: -26,
  EFBIG: -27,
  ENOSPC: -28,
  ESPIPE: -29,
  EROFS: -30,
  EMLINK: -31,
  ERANGE: -34,
  EDEADLK: -35,
  ENAMETOOLONG: -36,
  ENOLCK: -37,
  ENOSYS: -38,
  ENOTEMPTY: -39,
  ELOOP: -40,
  ENODATA: -61,
  EPROTO: -71,
  EOVERFLOW: -75,
  EOPNOTSUPP: -95,
  ENOTCONN: -107,
  ETIMEDOUT: -110,
  ESTALE: -116,
  EDQUOT: -122,
  ECANCELED: -125,
} as const;

/** A negative error number of Linux. */
export type Errno = (typeof Errno)[keyof typeof Errno];

/** The largest error number the kernel takes for one. */
const LARGEST_ERRNO = 4095;

/** The error number that an exception carries in `errno` or `code`, or undefined. */
export function findErrno(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { errno, code } = error as { readonly errno?: unknown; readonly code?: unknown };
  if (typeof errno === "number" && Number.isInteger(errno)) {
    const negative = errno > 0 ? -errno : errno;
    if (negative < 0 && negative >= -LARGEST_ERRNO) return negative;
  }
  if (typeof code === "string") {
    const known = (numbers as Readonly<Record<string, number>>)[code];
    if (known !== undefined) return -known;
  }
  return undefined;
}
