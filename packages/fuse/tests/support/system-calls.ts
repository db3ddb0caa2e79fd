import koffi from "koffi";

/** The system calls that Node does not offer, for tests. Each throws an error with the negative number of what went wrong. */
const libc = koffi.load(null);

const declare = (definition: string): ((...args: unknown[]) => number) => {
  const call = libc.func(definition) as (...args: unknown[]) => number | bigint;
  return (...args) => {
    const result = Number(call(...args));
    if (result < 0) {
      const errno = koffi.errno();
      const name = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0];
      throw Object.assign(new Error(`${name ?? errno} in ${definition}`), { code: name, errno: -errno });
    }
    return result;
  };
};

export const renameat2 = declare("int renameat2(int from, str old, int to, str new, unsigned int flags)");
export const openFile = declare("int open(str path, int flags, unsigned int mode)");
export const linkat = declare("int linkat(int from, str old, int to, str new, int flags)");
export const fallocate = declare("int fallocate(int descriptor, int mode, int64_t offset, int64_t length)");
export const lseek = declare("int64_t lseek(int descriptor, int64_t offset, int whence)");
export const setxattr = declare("int setxattr(str path, str name, void *value, size_t size, int flags)");
export const getxattr = declare("int64_t getxattr(str path, str name, void *value, size_t size)");
export const listxattr = declare("int64_t listxattr(str path, void *list, size_t size)");
export const removexattr = declare("int removexattr(str path, str name)");
export const flock = declare("int flock(int descriptor, int operation)");
export const fcntl = declare("int fcntl(int descriptor, int command, void *argument)");
export const utimensat = declare("int utimensat(int directory, str path, void *times, int flags)");
export const copyFileRange = declare(
  "int64_t copy_file_range(int from, int64_t *fromOffset, int to, int64_t *toOffset, size_t length, unsigned int flags)",
);
export const mknod = declare("int mknod(str path, unsigned int mode, uint64_t device)");
const mmapCall = libc.func(
  "void *mmap(void *address, size_t length, int protection, int flags, int descriptor, int64_t offset)",
);
const munmapCall = declare("int munmap(void *address, size_t length)");

export const AT_FDCWD = -100;

/** Maps a file shared, lets `use` read and change its bytes, and unmaps it. */
export function withMapping(descriptor: number, lengthBytes: number, use: (bytes: Buffer) => void): void {
  const PROT_READ_WRITE = 3;
  const MAP_SHARED = 1;
  const address: unknown = mmapCall(null, lengthBytes, PROT_READ_WRITE, MAP_SHARED, descriptor, 0);
  try {
    use(Buffer.from(koffi.view(address, lengthBytes)));
  } finally {
    munmapCall(address, lengthBytes);
  }
}

const opendirCall = libc.func("void *opendir(str path)");
const readdirCall = libc.func("void *readdir(void *directory)");
const telldir = declare("int64_t telldir(void *directory)");
const seekdir = libc.func("void seekdir(void *directory, int64_t place)");
const closedir = declare("int closedir(void *directory)");
const DIRENT_NAME = 19;
const DIRENT_BYTES = 280;

/** A directory whose listing can go back, which those of Node cannot. */
export class Directory {
  readonly #directory: unknown;

  constructor(path: string) {
    this.#directory = opendirCall(path);
  }

  read(): string | undefined {
    const entry: unknown = readdirCall(this.#directory);
    if (entry === null) return undefined;
    const bytes = Buffer.from(koffi.view(entry, DIRENT_BYTES));
    return bytes.toString("utf8", DIRENT_NAME, bytes.indexOf(0, DIRENT_NAME));
  }

  tell(): number {
    return telldir(this.#directory);
  }

  seek(place: number): void {
    seekdir(this.#directory, place);
  }

  close(): void {
    closedir(this.#directory);
  }
}
