import type { CopyRange } from "../../../../core/ports/disk.ts";

/** copy_file_range(2), which Node has no call for: file systems share the blocks, or move the bytes without showing them to this process. */
type Call = (
  from: number,
  fromOffset: Uint8Array,
  to: number,
  toOffset: Uint8Array,
  size: number,
  flags: number,
) => number;
interface AsyncCall extends Call {
  async(...args: [...Parameters<Call>, (error: Error | null, count: number) => void]): void;
}

/** One call keeps a thread of the pool busy for so long at most. */
const BYTES_A_CALL = 64 * 1024 * 1024;

let loading: Promise<AsyncCall | undefined> | undefined;

async function load(): Promise<AsyncCall | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const { default: koffi } = await import("koffi");
    return koffi
      .load(null)
      .func(
        "long copy_file_range(int from, uint8_t *from_offset, int to, uint8_t *to_offset, size_t size, unsigned int flags)",
      ) as AsyncCall;
  } catch {
    // There is no build of it for this processor, or an old C library: bytes are copied through memory.
    return undefined;
  }
}

/** Resolves with how many bytes were copied; what the kernel does not copy is left to the caller. */
export async function copyFileRange(from: number, to: number, range: CopyRange): Promise<number> {
  loading ??= load();
  const call = await loading;
  if (call === undefined) return 0;
  // The kernel moves both offsets on.
  const fromOffset = offset(range.start);
  const toOffset = offset(range.position);
  let copied = 0;
  while (copied < range.sizeBytes) {
    const size = Math.min(BYTES_A_CALL, range.sizeBytes - copied);
    const count = await new Promise<number>((resolve) => {
      // What went wrong shows again, and by name, when the caller copies through memory.
      call.async(from, fromOffset, to, toOffset, size, 0, (error, done) => resolve(error === null ? done : 0));
    });
    if (count <= 0) break;
    copied += count;
  }
  return copied;
}

function offset(position: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(position));
  return bytes;
}
