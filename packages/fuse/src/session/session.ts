import { closeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { FuseError, type FuseErrorCode } from "../protocol/errors.ts";
import type { Features, Negotiated } from "../protocol/negotiation.ts";
import type { FileSystem } from "./file-system.ts";
import { allocateFrameRing, FrameRing, type FrameRingMemory } from "./frame-ring.ts";
import { MainService } from "./main-service.ts";
import type { FromWorker, Retrieved, ToWorker, WorkerSetup } from "./messages.ts";
import type { Notification } from "./notification-queue.ts";
import { NotificationThread } from "./notification-thread.ts";
import { DeviceNotifier, MAIN_THREAD, originOfRetrieval, type Notifier } from "./notifier.ts";
import { sessionSizes } from "./sizes.ts";

/** How many requests can be on their way to the main thread. */
const RING_SLOTS = 16;
const DEFAULT_IN_FLIGHT = 1024;

export interface SessionOptions {
  /** A file system in the main thread. Together with `module`: for what that one answers with `DEFER`. */
  readonly fileSystem?: FileSystem | undefined;
  /** The URL of a module that exports `createFileSystem(options)`, for a file system in the worker. */
  readonly module?: URL | string | undefined;
  /** What it is created with. Goes through a structured clone. */
  readonly moduleOptions?: unknown;
  readonly features?: Features | undefined;
  /** How many threads read from the kernel. One is fastest for small calls; each loads the module for itself. */
  readonly workers?: number | undefined;
  /** How many requests may wait for promises; 1024 if nothing is said. */
  readonly maxInFlight?: number | undefined;
  /** Told of everything that callers only saw an error number of. Warnings of the process if nothing is said. */
  readonly onProblem?: ((error: FuseError) => void) | undefined;
  /** Where worker.js of this package is, if a bundler has moved it. */
  readonly workerUrl?: URL | undefined;
}

interface Reader {
  readonly worker: Worker;
  readonly ring: FrameRing | undefined;
  service: MainService | undefined;
  descriptor: number;
}

/** Gives a worker a descriptor of its own for the same session (FUSE_DEV_IOC_CLONE). */
export type CloneDevice = (descriptor: number) => number;

/** Serves one descriptor of /dev/fuse. Knows nothing of mounting. */
export class Session {
  /** What was asked for by the options and the file systems. */
  readonly features: Features;
  /** Resolves when the session is over, or has to be: with the reason, if it is not the unmounting. */
  readonly over: Promise<FuseError | undefined>;
  /** Resolves when all threads have ended and everything that was pending has been answered. */
  readonly stopped: Promise<void>;
  readonly #options: SessionOptions;
  readonly #readers: readonly Reader[];
  readonly #onProblem: (error: FuseError) => void;
  #settleOver: (failure: FuseError | undefined) => void = () => undefined;
  #settleNegotiated: (negotiated: Negotiated) => void = () => undefined;
  #notifier: DeviceNotifier | undefined;
  #notifications: NotificationThread | undefined;
  #negotiated: Negotiated | undefined;

  private constructor(options: SessionOptions, readers: readonly Reader[], features: Features) {
    this.#options = options;
    this.#readers = readers;
    this.features = features;
    this.#onProblem = options.onProblem ?? ((error) => process.emitWarning(error));
    this.over = new Promise((resolve) => (this.#settleOver = resolve));
    this.stopped = Promise.all(readers.map((reader) => this.#follow(reader))).then(() => this.#close());
  }

  /** Starts the threads and loads the file system; the session then waits for `serve`. */
  static async start(options: SessionOptions): Promise<Session> {
    if (options.fileSystem === undefined && options.module === undefined) {
      throw new FuseError("Unsupported", "There is no file system to serve: give `fileSystem` or `module`.");
    }
    const asked = { ...options.fileSystem?.features, ...options.features };
    const readers = Array.from({ length: options.workers ?? 1 }, (_, index) => startReader(options, asked, index + 1));
    try {
      const features = await Promise.all(readers.map(({ worker }) => ready(worker)));
      return new Session(options, readers, features[0] ?? asked);
    } catch (error) {
      await Promise.all(readers.map(({ worker }) => worker.terminate()));
      throw error;
    }
  }

  get notifier(): Notifier {
    if (this.#notifier === undefined) throw new FuseError("Closed", "The session serves nothing: mount first.");
    return this.#notifier;
  }

  /**
   * Begins to serve; the descriptor is the session's from now on. Resolves when the kernel and we have agreed on how to talk. More workers
   * start after that, each with its own descriptor if `clone` is given.
   */
  async serve(descriptor: number, clone?: CloneDevice): Promise<Negotiated> {
    this.#notifications = new NotificationThread(descriptor, this.#options.workerUrl ?? workerUrl());
    this.#notifier = new DeviceNotifier({ descriptor, queue: this.#notifications.queue }, MAIN_THREAD);
    const agreed = new Promise<Negotiated>((resolve) => (this.#settleNegotiated = resolve));
    const [first, ...others] = this.#readers as [Reader, ...Reader[]];
    this.#begin(first, descriptor, undefined);
    const negotiated = await Promise.race([agreed, this.over.then(endedEarly)]);
    this.#negotiated = negotiated;
    for (const reader of others) this.#begin(reader, clone?.(descriptor) ?? descriptor, negotiated);
    return negotiated;
  }

  /** Ends the session before anything was mounted. */
  async abandon(): Promise<void> {
    for (const { worker, ring } of this.#readers) {
      ring?.close();
      send(worker, { type: "quit" });
    }
    await this.stopped;
  }

  #begin(reader: Reader, descriptor: number, negotiated: Negotiated | undefined): void {
    const { fileSystem, maxInFlight = DEFAULT_IN_FLIGHT } = this.#options;
    reader.descriptor = descriptor;
    if (fileSystem !== undefined && reader.ring !== undefined) {
      const notifier = this.#notifier as DeviceNotifier;
      const port = {
        onProblem: this.#onProblem,
        onNegotiated: (agreed: Negotiated) => {
          fileSystem.init?.({ negotiated: agreed, notifier, device: descriptor, report: this.#onProblem });
          this.#settleNegotiated(agreed);
        },
        onFailure: (error: FuseError) => this.#settleOver(error),
      };
      reader.service = new MainService(
        { fileSystem, ring: reader.ring, notifier, port },
        { features: this.features, maxInFlight, descriptor },
      );
      if (negotiated !== undefined) reader.service.adopt(negotiated);
    }
    send(reader.worker, { type: "serve", descriptor, negotiated });
  }

  /** Listens to a worker until it has ended. */
  #follow(reader: Reader): Promise<void> {
    const { worker } = reader;
    return new Promise((resolve) => {
      worker.on("message", (message: FromWorker) => this.#hear(reader, message));
      worker.on("error", (error) =>
        this.#settleOver(
          new FuseError("FileSystemFailed", `The thread that serves the file system failed: ${error.message}.`, {
            cause: error,
          }),
        ),
      );
      worker.once("exit", () => {
        const service = reader.service;
        if (service === undefined) resolve();
        else void service.drain().then(resolve);
      });
    });
  }

  #hear(reader: Reader, message: FromWorker): void {
    switch (message.type) {
      case "ready":
        break;
      case "negotiated":
        reader.service?.adopt(message.negotiated);
        this.#options.fileSystem?.init?.({
          negotiated: message.negotiated,
          notifier: this.notifier,
          device: reader.descriptor,
          report: this.#onProblem,
        });
        this.#settleNegotiated(message.negotiated);
        break;
      case "frames":
        reader.service?.wake();
        break;
      case "retrieved":
        this.#retrieved(message);
        break;
      case "notify":
        void this.#notify(reader, message.notification);
        break;
      case "problem":
        this.#onProblem(revive(message));
        break;
      case "ended":
        this.#settleOver(message.failure === undefined ? undefined : revive(message.failure));
        break;
    }
  }

  /** Goes to the thread that has asked for it. */
  #retrieved(message: Retrieved): void {
    const origin = originOfRetrieval(message.unique);
    const asker = this.#readers[origin - 1];
    if (origin === MAIN_THREAD) this.#notifier?.retrieved(message.unique, Buffer.from(message.data));
    else if (asker !== undefined) send(asker.worker, message);
  }

  /** Writes what a worker has to tell the kernel. Never rejects. */
  async #notify({ worker }: Reader, { id, bytes }: Notification): Promise<void> {
    try {
      const taken = (await this.#notifications?.queue.write(bytes)) === true;
      send(worker, { type: "notified", notified: { id, taken, failure: undefined } });
    } catch (error) {
      const { code, message } = error as FuseError;
      send(worker, { type: "notified", notified: { id, taken: false, failure: { code, message } } });
    }
  }

  async #close(): Promise<void> {
    this.#settleOver(undefined);
    this.#notifier?.close();
    for (const { ring } of this.#readers) ring?.close();
    if (this.#negotiated !== undefined) await this.#options.fileSystem?.destroy?.();
    await this.#notifications?.close();
    for (const descriptor of new Set(this.#readers.map((reader) => reader.descriptor))) {
      if (descriptor !== -1) closeSync(descriptor);
    }
  }
}

function startReader(options: SessionOptions, features: Features, number: number): Reader {
  const { maxInFlight = DEFAULT_IN_FLIGHT } = options;
  const memory: FrameRingMemory | undefined =
    options.fileSystem === undefined
      ? undefined
      : allocateFrameRing(RING_SLOTS, sessionSizes(features, maxInFlight).frameBytes);
  const setup: WorkerSetup = {
    number,
    module: options.module === undefined ? undefined : String(options.module),
    options: options.moduleOptions,
    ring: memory,
    features,
    maxInFlight,
  };
  const worker = new Worker(options.workerUrl ?? workerUrl(), {
    workerData: setup,
    // Descriptors of a file system are opened and closed by different threads; Node would warn of each one.
    trackUnmanagedFds: false,
    name: "fuse",
  });
  return { worker, ring: memory === undefined ? undefined : new FrameRing(memory), service: undefined, descriptor: -1 };
}

/** Beside this module when built; when it runs from its sources, what was built last. */
function workerUrl(): URL {
  const fromSources = import.meta.url.endsWith(".ts");
  return new URL(fromSources ? "../../dist/worker.js" : "./worker.js", import.meta.url);
}

/** Resolves with the features once the worker has loaded its file system. */
function ready(worker: Worker): Promise<Features> {
  return new Promise((resolve, reject) => {
    const listen = (message: FromWorker): void => {
      if (message.type === "ready") {
        stop();
        resolve(message.features);
      } else if (message.type === "ended" && message.failure !== undefined) {
        stop();
        reject(new FuseError("FileSystemFailed", `The file system could not be created: ${message.failure.message}`));
      }
    };
    const fail = (error: Error): void => {
      stop();
      reject(new FuseError("FileSystemFailed", `The thread could not be started: ${error.message}`, { cause: error }));
    };
    const stop = (): void => {
      worker.off("message", listen);
      worker.off("error", fail);
    };
    worker.on("message", listen);
    worker.on("error", fail);
  });
}

function send(worker: Worker, message: ToWorker): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  worker.postMessage(message);
}

function revive({ code, message, stack }: { code: string; message: string; stack?: string | undefined }): FuseError {
  const error = new FuseError(code as FuseErrorCode, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function endedEarly(failure: FuseError | undefined): never {
  throw failure ?? new FuseError("Closed", "The file system was unmounted before it was ready: mount it again.");
}
