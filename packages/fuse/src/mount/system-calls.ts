import { closeSync, openSync } from "node:fs";
import { FuseError } from "../protocol/errors.ts";

/** _IOR(229, 0, uint32_t) */
const FUSE_DEV_IOC_CLONE = 0x8004_e500;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/** The calls that Node does not offer. */
export interface SystemCalls {
  /** Two sockets that are connected to each other, both closed in children. */
  socketPair(): readonly [number, number];
  /** Waits for a descriptor on a socket. Undefined if the other end was closed without sending one. */
  receiveDescriptor(socket: number): Promise<number | undefined>;
  /** A descriptor of its own for the session of another one. */
  cloneDevice(descriptor: number): number;
}

interface Koffi {
  load(path: string | null): { func(definition: string): NativeFunction };
  errno(): number;
  address(value: unknown): bigint;
}

interface NativeFunction {
  (...args: unknown[]): number;
  async(...args: unknown[]): void;
}

let loaded: Promise<SystemCalls> | undefined;

/** Loads koffi. Throws `Unsupported` where it is not installed. */
export function systemCalls(): Promise<SystemCalls> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<SystemCalls> {
  let koffi: Koffi;
  try {
    const module = (await import("koffi")) as unknown as { readonly default: Koffi };
    koffi = module.default;
  } catch (error) {
    loaded = undefined;
    throw new FuseError("Unsupported", "This needs system calls that Node does not offer: run `npm install koffi`.", {
      cause: error,
    });
  }
  const library = koffi.load(null);
  const socketpair = library.func("int socketpair(int domain, int type, int protocol, void *pair)");
  const recvmsg = library.func("intptr_t recvmsg(int socket, void *message, int flags)");
  const ioctl = library.func("int ioctl(int descriptor, unsigned long request, void *argument)");

  const failed = (call: string): FuseError =>
    new FuseError("MountFailed", `The system call ${call} failed with error number ${koffi.errno()}.`);

  return {
    socketPair() {
      const pair = Buffer.alloc(8);
      if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) !== 0) throw failed("socketpair");
      return [pair.readInt32LE(0), pair.readInt32LE(4)];
    },

    receiveDescriptor(socket) {
      const { message, control, keep } = messageForDescriptor((value) => koffi.address(value));
      return new Promise((resolve, reject) => {
        recvmsg.async(socket, message, MSG_CMSG_CLOEXEC, (error: Error | null, received: number) => {
          void keep;
          if (error !== null) reject(error);
          else if (received < 0) reject(failed("recvmsg"));
          else resolve(descriptorIn(control));
        });
      });
    },

    cloneDevice(descriptor) {
      const clone = openSync("/dev/fuse", "r+");
      const argument = Buffer.alloc(4);
      argument.writeInt32LE(descriptor);
      if (ioctl(clone, FUSE_DEV_IOC_CLONE, argument) === 0) return clone;
      closeSync(clone);
      throw failed("ioctl(FUSE_DEV_IOC_CLONE)");
    },
  };
}

/** A struct msghdr of a 64-bit machine, for one byte and one descriptor. */
function messageForDescriptor(address: (value: Buffer) => bigint): {
  readonly message: Buffer;
  readonly control: Buffer;
  /** What the message points to must outlive the call. */
  readonly keep: readonly Buffer[];
} {
  const byte = Buffer.alloc(1);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(address(byte), 0);
  vector.writeBigUInt64LE(1n, 8);
  const control = Buffer.alloc(24);
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(address(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  return { message, control, keep: [byte, vector, control] };
}

/** The descriptor in a struct cmsghdr, if there is one. */
function descriptorIn(control: Buffer): number | undefined {
  const sizeBytes = control.readBigUInt64LE(0);
  const isRights = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  return isRights && sizeBytes >= 20n ? control.readInt32LE(16) : undefined;
}
