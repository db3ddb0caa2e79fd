import { closeSync } from "node:fs";
import { endianness } from "node:os";
import { setTimeout } from "node:timers/promises";
import { FuseError } from "../protocol/errors.ts";
import { maxWriteBytes, type Negotiated } from "../protocol/negotiation.ts";
import type { Notifier } from "../session/notifier.ts";
import { Session, type CloneDevice, type SessionOptions } from "../session/session.ts";
import { attachByHelper, attachDirectly, mountWay, openDevice } from "./attach.ts";
import { detach, detachNow } from "./detach.ts";
import type { MountTableOptions } from "./mount-options.ts";
import { prepareDirectory, type MountPointOptions } from "./mount-point.ts";
import { systemCalls } from "./system-calls.ts";
import { Watcher } from "./watcher.ts";

export interface MountOptions extends SessionOptions, MountPointOptions, Omit<MountTableOptions, "maxReadBytes"> {
  /** Each worker gets a queue of its own in the kernel. Needs koffi. */
  readonly cloneDevice?: boolean | undefined;
  /** A small process unmounts when this one dies. On unless false. */
  readonly autoUnmount?: boolean | undefined;
}

export interface UnmountOptions {
  /** How long to wait for those who still use the file system before it is taken away from them. 2,000 if nothing is said. */
  readonly graceMs?: number;
}

export interface MountedFileSystem {
  /** Without symbolic links. */
  readonly directory: string;
  readonly negotiated: Negotiated;
  readonly notifier: Notifier;
  /** Resolves when it has been unmounted, by us or by anybody. Rejects if the session had to end. */
  readonly closed: Promise<void>;
  /** Unmounts: waits a while for those who use it, then takes it away. Resolves when every thread has ended. */
  unmount(options?: UnmountOptions): Promise<void>;
}

const DEFAULT_GRACE_MS = 2000;
const BUSY_RETRY_MS = 20;
/** How long pending operations have to notice that they were aborted. */
const DRAIN_LIMIT_MS = 10_000;

/** Mounts a file system and serves it until it is unmounted. */
export async function mount(directory: string, options: MountOptions): Promise<MountedFileSystem> {
  requireSupported();
  // Nothing takes longer than the start of a thread that has loaded the file system, so everything else is done meanwhile.
  const starting = Session.start(options);
  starting.catch(() => undefined);
  let path: string;
  let clone: CloneDevice | undefined;
  try {
    path = await prepareDirectory(directory, options);
    clone = options.cloneDevice === true ? (await systemCalls()).cloneDevice : undefined;
  } catch (error) {
    await abandon(starting);
    throw error;
  }
  const asked = { ...options.fileSystem?.features, ...options.features };
  const table: MountTableOptions = { ...options, maxReadBytes: maxWriteBytes(asked) };
  const { session, negotiated, watcher } = await attach(starting, { path, table, clone, options });
  return new Mounted(path, session, { negotiated, watcher });
}

interface Attached {
  readonly session: Session;
  readonly negotiated: Negotiated;
  readonly watcher: Watcher | undefined;
}

/** Mounts, and begins to serve as soon as the session has started. */
async function attach(
  starting: Promise<Session>,
  where: {
    readonly path: string;
    readonly table: MountTableOptions;
    readonly clone: CloneDevice | undefined;
    readonly options: MountOptions;
  },
): Promise<Attached> {
  const { path, clone, options } = where;
  let attachment: Attachment;
  try {
    attachment = await beginAttaching(path, where.table);
  } catch (error) {
    await abandon(starting);
    throw error;
  }
  const { descriptor, attaching } = attachment;
  const watching = attaching.then(() => (options.autoUnmount === false ? undefined : Watcher.start(path)));
  watching.catch(() => undefined);
  let session: Session;
  try {
    session = await starting;
  } catch (error) {
    // There is no file system after all. If it was mounted already, those who have come there get an error.
    await attaching.then(
      () => detach(path, "force"),
      () => undefined,
    );
    (await watching.catch(() => undefined))?.dismiss();
    closeSync(descriptor);
    throw error;
  }
  // The thread reads already while mount(8) is at work, in case that looks at what it has mounted.
  const serving = session.serve(descriptor, clone);
  serving.catch(() => undefined);
  try {
    await attaching;
  } catch (error) {
    await session.abandon();
    throw error;
  }
  try {
    return { session, negotiated: await serving, watcher: await watching };
  } catch (error) {
    await detach(path, "force");
    (await watching.catch(() => undefined))?.dismiss();
    await session.stopped;
    throw error;
  }
}

interface Attachment {
  readonly descriptor: number;
  /** Settles when the file system is mounted, or cannot be. */
  readonly attaching: Promise<void>;
}

async function beginAttaching(path: string, table: MountTableOptions): Promise<Attachment> {
  if (mountWay() === "fusermount3") {
    return { descriptor: await attachByHelper(path, table), attaching: Promise.resolve() };
  }
  const descriptor = openDevice();
  const attaching = attachDirectly(descriptor, path, table);
  attaching.catch(() => undefined);
  return { descriptor, attaching };
}

/** Ends a session that has nothing to serve, or was never one. */
async function abandon(starting: Promise<Session>): Promise<void> {
  const session = await starting.catch(() => undefined);
  await session?.abandon();
}

class Mounted implements MountedFileSystem {
  readonly directory: string;
  readonly negotiated: Negotiated;
  readonly closed: Promise<void>;
  readonly #session: Session;
  readonly #watcher: Watcher | undefined;
  readonly #onExit = (): void => detachNow(this.directory);

  constructor(
    directory: string,
    session: Session,
    { negotiated, watcher }: { readonly negotiated: Negotiated; readonly watcher: Watcher | undefined },
  ) {
    this.directory = directory;
    this.negotiated = negotiated;
    this.#session = session;
    this.#watcher = watcher;
    // A thread that blocks in `read` would keep the process from exiting, so the file system has to go first.
    process.on("exit", this.#onExit);
    this.closed = this.#close();
    this.closed.catch(() => undefined);
  }

  get notifier(): Notifier {
    return this.#session.notifier;
  }

  async unmount(options: UnmountOptions = {}): Promise<void> {
    const { graceMs = DEFAULT_GRACE_MS } = options;
    const deadline = performance.now() + graceMs;
    while (!(await detach(this.directory, "plain"))) {
      if (performance.now() >= deadline) {
        await detach(this.directory, "force");
        break;
      }
      await setTimeout(BUSY_RETRY_MS);
    }
    await this.#stopped();
    await this.closed;
  }

  async #close(): Promise<void> {
    const failure = await this.#session.over;
    if (failure !== undefined) await detach(this.directory, "force");
    await this.#session.stopped;
    process.off("exit", this.#onExit);
    this.#watcher?.dismiss();
    // A server whose thread failed leaves a mount behind that nobody answers for.
    if (failure !== undefined) {
      await detach(this.directory, "lazy");
      throw failure;
    }
  }

  async #stopped(): Promise<void> {
    const stopped = this.#session.stopped.then(() => true);
    const limit = new AbortController();
    const late = setTimeout(DRAIN_LIMIT_MS, false, { signal: limit.signal, ref: false }).catch(() => false);
    const inTime = await Promise.race([stopped, late]);
    limit.abort();
    if (inTime) return;
    throw new FuseError(
      "Busy",
      `${this.directory} is unmounted, but operations are still pending after ${DRAIN_LIMIT_MS} ms: make them end when their signal is aborted, and close the files that are still open.`,
    );
  }
}

function requireSupported(): void {
  if (process.platform !== "linux") {
    throw new FuseError("Unsupported", `FUSE is served on Linux only, and this is ${process.platform}.`);
  }
  if (endianness() !== "LE") {
    throw new FuseError("Unsupported", "The protocol is spoken in little-endian order only, and this machine is not.");
  }
}
