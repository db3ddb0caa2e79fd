// A file system whose operations tell the kernel of changes, for a worker or for the main thread. Reading a file does what its name says;
// `results` says what came of it.
import { readFile } from "node:fs/promises";
import { namedFiles } from "./file-systems.mjs";

const FORGOTTEN = { offset: -1, lengthBytes: 0 };
const ALL = { offset: 0, lengthBytes: 0 };
const UNKNOWN = 999;
const MANY = 2000;
/** More than libuv's pool has threads. */
const LOCKED = 8;

export function createFileSystem() {
  let notifier;
  const results = [];
  const note = (name, promise) =>
    void promise.then(
      (result) => results.push(`${name} ${result}`),
      (error) => results.push(`${name} ${error.code}`),
    );
  const text = (words) => Buffer.from(String(words).padEnd(4096));
  const done = text("done");

  const lockedFiles = Array.from({ length: LOCKED }, (_, index) => [
    `locked-${index}`,
    {
      // Its pages are locked until it has been read, and the pool has to take part in that.
      openFlags: 0,
      read: async ({ inode }) => {
        note("locked", notifier.invalidateInode(inode, ALL));
        await new Promise((resolve) => void setTimeout(resolve, 50));
        await readFile("/proc/self/comm");
        return done;
      },
    },
  ]);

  const files = namedFiles({
    results: { read: () => text(results.join(",")) },
    everything: {
      read: ({ inode }) => {
        note("inode", notifier.invalidateInode(inode));
        note("attributes", notifier.invalidateInode(inode, FORGOTTEN));
        note("entry", notifier.invalidateEntry(1, "nothing"));
        note("expired", notifier.invalidateEntry(1, "pending", { expireOnly: true }));
        note("deleted", notifier.deleted(1, UNKNOWN, "nothing"));
        note("store", notifier.store(inode, 0, Buffer.alloc(16, "s")));
        note("wakeup", notifier.wakeup(UNKNOWN));
        note("unknown", notifier.invalidateInode(UNKNOWN));
        note("epoch", notifier.expireAllEntries());
        return done;
      },
    },
    awaits: { read: async () => text(await notifier.invalidateInode(UNKNOWN)) },
    retrieves: {
      openFlags: 0,
      read: ({ inode }) => {
        note(
          "retrieved",
          notifier.store(inode, 0, Buffer.alloc(16, "r")).then(() => fetch(inode)),
        );
        return done;
      },
    },
    pending: { read: () => text(results.length) },
    many: {
      read: () => {
        for (let count = 0; count < MANY; count += 1) note("many", notifier.invalidateInode(UNKNOWN));
        return done;
      },
    },
    counts: {
      read: () => {
        const counts = {};
        for (const result of results.splice(0)) counts[result] = (counts[result] ?? 0) + 1;
        return text(JSON.stringify(counts));
      },
    },
    ...Object.fromEntries(lockedFiles),
  });

  async function fetch(inode) {
    const data = await notifier.retrieve(inode, { offset: 0, lengthBytes: 16 });
    return data?.toString();
  }

  return {
    ...files,
    init: (connection) => {
      notifier = connection.notifier;
    },
    // The directory is locked until the lookup has been answered.
    lookup: (request) => {
      if (request.name.startsWith("locked-")) note("looked-up", notifier.invalidateEntry(1, request.name));
      return files.lookup(request);
    },
  };
}
