// File systems with one trait each, for tests of the session. Each has a root directory and regular files by name.
import { Errno } from "../../dist/index.js";

const TIMES = {
  atimeSeconds: 0,
  atimeNanoseconds: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
  ctimeSeconds: 0,
  ctimeNanoseconds: 0,
};

function attributes(inode, mode, sizeBytes) {
  const rest = { blocks: 0, links: 1, uid: process.getuid(), gid: process.getgid(), device: 0, blockSizeBytes: 4096 };
  return { inode, mode, sizeBytes, ...TIMES, ...rest };
}

/** Files whose content is a function of the moment, in inodes from 2 on. Nothing is cached unless `timeoutMs` says so. */
export function namedFiles(files, { timeoutMs = 0 } = {}) {
  const names = Object.keys(files);
  const sizeOf = (inode) => files[names[inode - 2]].sizeBytes ?? 4096;
  const nodeOf = (inode) => (inode === 1 ? attributes(1, 0o040755, 0) : attributes(inode, 0o100666, sizeOf(inode)));
  return {
    lookup: ({ parent, name }) => {
      const inode = names.indexOf(name) + 2;
      if (parent !== 1 || inode < 2) return Errno.ENOENT;
      return { inode, generation: 0, attributes: nodeOf(inode), timeoutMs, entryTimeoutMs: timeoutMs };
    },
    getattr: ({ inode }) => ({ attributes: nodeOf(inode), timeoutMs }),
    setattr: ({ inode }) => ({ attributes: nodeOf(inode), timeoutMs }),
    open: ({ inode }) => ({ handle: 7, flags: files[names[inode - 2]].openFlags ?? 1 }),
    // Unless a file is as large as it says, everything is in its first bytes.
    read: (request) => {
      const file = files[names[request.inode - 2]];
      return request.offset > 0 && file.sizeBytes === undefined ? 0 : file.read(request);
    },
    write: (request) => files[names[request.inode - 2]].write(request),
  };
}

/** Sleeps, unless it is interrupted. */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(Object.assign(new Error("interrupted"), { code: "EINTR" }));
    });
  });
}
