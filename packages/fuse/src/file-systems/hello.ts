/** The smallest file system that is of any use: one file that greets. */
import { Errno } from "../protocol/errors.ts";
import type { Attributes, Entry } from "../protocol/replies.ts";
import type { FileSystem } from "../session/file-system.ts";

const ROOT = 1;
const FILE = 2;

/** `options.text` is what the file `hello` says. */
export function createFileSystem(options?: unknown): FileSystem {
  const { text = "Hello, world!\n" } = (options ?? {}) as { readonly text?: string };
  const content = Buffer.from(text);
  const s = Math.floor(Date.now() / 1000);
  const times = { atimeSeconds: s, atimeNanoseconds: 0, mtimeSeconds: s, mtimeNanoseconds: 0, ctimeSeconds: s };
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, device: 0, blockSizeBytes: 4096 };
  const both = { ...times, ...owner, ctimeNanoseconds: 0, blocks: 1 };
  const root: Attributes = { ...both, inode: ROOT, mode: 0o040755, links: 2, sizeBytes: 0 };
  const file: Attributes = { ...both, inode: FILE, mode: 0o100444, links: 1, sizeBytes: content.length };
  const forever = Number.POSITIVE_INFINITY;
  const entry: Entry = { inode: FILE, generation: 0, attributes: file, timeoutMs: forever, entryTimeoutMs: forever };
  return {
    lookup: ({ parent, name }) => (parent === ROOT && name === "hello" ? entry : Errno.ENOENT),
    getattr: ({ inode }) => ({ attributes: inode === ROOT ? root : file, timeoutMs: forever }),
    read: ({ offset, sizeBytes }) => content.subarray(offset, offset + sizeBytes),
    readdir: ({ offset, listing }) => {
      const names = [".", "..", "hello"];
      for (const [index, name] of names.entries()) {
        if (index >= offset && !listing.add(name, index + 1, name === "hello" ? file : root)) return;
      }
    },
  };
}
