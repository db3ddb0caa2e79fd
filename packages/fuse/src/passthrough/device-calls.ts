import { createRequire } from "node:module";
import { FuseError } from "../protocol/errors.ts";

/** _IOW(229, 1, struct fuse_backing_map): a descriptor, flags, and padding of eight bytes. */
const FUSE_DEV_IOC_BACKING_OPEN = 0x4010_e501;
/** _IOW(229, 2, uint32_t) */
const FUSE_DEV_IOC_BACKING_CLOSE = 0x4004_e502;
const CAPABILITY_VERSION_3 = 0x2008_0522;
const CAP_FSETID = 1 << 4;

type Call = (...args: unknown[]) => number;

/** The two requests to the device that passthrough needs. Each answers with a negative error number if it failed. */
export interface BackingDevice {
  /** Registers what a descriptor holds; the number it gets is good for replies to `open`. */
  open(descriptor: number): number;
  close(backingId: number): void;
}

/**
 * Makes the requests by koffi; throws `Unsupported` where it is not installed. The kernel does the reads and writes of the file with the
 * privileges that this thread has now. With `clearsPrivileges` one is left out, so that a write takes set-user-id and set-group-id away
 * from a file on its own, as no request of that write reaches us.
 */
export function backingDevice(device: number, options: { readonly clearsPrivileges: boolean }): BackingDevice {
  let koffi: { load(path: null): { func(definition: string): Call }; errno(): number };
  try {
    koffi = createRequire(import.meta.url)("koffi") as typeof koffi;
  } catch (error) {
    throw new FuseError(
      "Unsupported",
      "Passthrough needs ioctl(2), which Node does not offer: run `npm install koffi`.",
      {
        cause: error,
      },
    );
  }
  const library = koffi.load(null);
  const ioctl = library.func("int ioctl(int descriptor, ulong request, void *argument)");
  const capget = library.func("int capget(void *header, void *data)");
  const capset = library.func("int capset(void *header, void *data)");
  const map = Buffer.alloc(16);
  const id = Buffer.alloc(4);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  const privileges = Buffer.alloc(24);
  const lowered = Buffer.alloc(24);

  const openNow = (descriptor: number): number => {
    map.writeInt32LE(descriptor, 0);
    const result = ioctl(device, FUSE_DEV_IOC_BACKING_OPEN, map);
    return result < 0 ? -koffi.errno() : result;
  };

  return {
    open(descriptor) {
      if (!options.clearsPrivileges) return openNow(descriptor);
      if (capget(header, privileges) !== 0) return -koffi.errno();
      privileges.copy(lowered);
      lowered.writeUInt32LE((lowered.readUInt32LE(0) & ~CAP_FSETID) >>> 0, 0);
      if (capset(header, lowered) !== 0) return -koffi.errno();
      try {
        return openNow(descriptor);
      } finally {
        capset(header, privileges);
      }
    },

    close(backingId) {
      id.writeUInt32LE(backingId, 0);
      ioctl(device, FUSE_DEV_IOC_BACKING_CLOSE, id);
    },
  };
}
