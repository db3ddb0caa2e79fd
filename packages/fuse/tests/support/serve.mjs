// node serve.mjs KIND DIR: serves a file system of a test until it is unmounted. Speaks by lines on standard output.
import { createInterface } from "node:readline";
import { mount } from "../../dist/index.js";
import { namedFiles, sleep } from "./file-systems.mjs";
import { createFileSystem as createNotifying } from "./notifying.mjs";

const [kind, directory, ...words] = process.argv.slice(2);
const say = (line) => void process.stdout.write(`${line}\n`);
const memory = new URL("../../dist/memory.js", import.meta.url);
const loopback = new URL("../../dist/loopback.js", import.meta.url);
const notifying = new URL("notifying.mjs", import.meta.url);
const half = new URL("worker-half.mjs", import.meta.url);
let mounted;
let counter = 0;

const asleep = (request) =>
  sleep(3_600_000, request.signal).catch((error) => {
    say("interrupted");
    throw error;
  });

const kinds = {
  memory: () => ({ module: memory, defaultPermissions: true, allowOther: true }),
  "memory-uncached": () => ({ module: memory, moduleOptions: { timeoutMs: 0 }, defaultPermissions: true }),
  "memory-no-open": () => ({ module: memory, moduleOptions: { noOpen: true }, defaultPermissions: true }),
  "memory-unwatched": () => ({ module: memory, autoUnmount: false }),
  "memory-two-workers": () => ({ fileSystem: files(), workers: 2, cloneDevice: words[0] === "clone" }),
  "memory-as-user": () => ({ module: memory }),
  "no-file-system": () => ({ module: new URL("file-systems.mjs", import.meta.url) }),
  "allow-other": () => ({ module: memory, allowOther: true }),
  // Words: the options of the file system, and features of the mount, both as JSON.
  loopback: () => ({
    module: loopback,
    moduleOptions: JSON.parse(words[0]),
    features: JSON.parse(words[1] ?? "{}"),
    defaultPermissions: true,
    allowOther: true,
  }),
  main: () => ({ fileSystem: files() }),
  "main-narrow": () => ({ fileSystem: files(), maxInFlight: 2 }),
  cached: () => ({ fileSystem: namedFiles({ count: { read: count, openFlags: 2 } }, { timeoutMs: Infinity }) }),
  "notifying-worker": () => ({ module: notifying }),
  "notifying-main": () => ({ fileSystem: createNotifying() }),
  "notifying-two-workers": () => ({ fileSystem: createNotifying(), workers: 2, cloneDevice: true }),
  hybrid: () => ({ module: half, fileSystem: files() }),
  exits: () => ({ fileSystem: files() }),
};

function count() {
  counter += 1;
  return Buffer.from(String(counter).padEnd(16));
}

function files() {
  const stored = [Buffer.alloc(0)];
  return {
    ...namedFiles({
      fast: { read: () => Buffer.from("from the main thread") },
      later: { read: ({ signal }) => sleep(20, signal).then(() => Buffer.from("later")) },
      filled: { read: async ({ into }) => into.write("filled in") },
      hangs: { read: asleep },
      broken: {
        read: () => {
          throw new TypeError("a mistake");
        },
      },
      refuses: { read: () => Promise.reject(Object.assign(new Error("no"), { code: "ENOSPC" })) },
      store: {
        sizeBytes: 1_048_576,
        read: ({ offset, sizeBytes }) => stored[0].subarray(offset, offset + sizeBytes),
        write: async ({ data, offset }) => {
          await new Promise((resolve) => void setImmediate(resolve));
          const next = Buffer.alloc(Math.max(stored[0].length, offset + data.length));
          stored[0].copy(next);
          data.copy(next, offset);
          stored[0] = next;
          return data.length;
        },
      },
    }),
    destroy: () => say("destroyed"),
  };
}

const commands = {
  invalidate: () => mounted.notifier.invalidateInode(2, { offset: 0, lengthBytes: 0 }),
  "invalidate-unknown": () => mounted.notifier.invalidateInode(999),
  "invalidate-entry": () => mounted.notifier.invalidateEntry(1, "count"),
  store: () => mounted.notifier.store(2, 0, Buffer.from("stored by us    ")),
  retrieve: async () => (await mounted.notifier.retrieve(2, { offset: 0, lengthBytes: 16 }))?.toString(),
  exit: () => process.exit(7),
  unmount: () => mounted.unmount({ graceMs: 100 }).then(() => "unmounted"),
};

try {
  const started = performance.now();
  mounted = await mount(directory, {
    ...kinds[kind](),
    onProblem: (error) => say(`problem ${error.message}`),
  });
  say(`Mounted in ${Math.round(performance.now() - started)} ms`);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => void obey(line));
  await mounted.closed;
  lines.close();
  process.stdin.destroy();
  say("closed");
} catch (error) {
  say(`${error.name} ${error.code}: ${error.message}`);
  process.exitCode = 1;
}

async function obey(line) {
  try {
    say(`${line}: ${await commands[line]()}`);
  } catch (error) {
    say(`${line} failed: ${error.message}`);
  }
}
