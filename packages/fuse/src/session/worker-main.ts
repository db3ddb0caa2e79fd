import { isMainThread, parentPort, workerData, type MessagePort } from "node:worker_threads";
import { FuseError } from "../protocol/errors.ts";
import type { FileSystem, FileSystemModule } from "./file-system.ts";
import { FrameRing } from "./frame-ring.ts";
import type { FromWorker, NotificationSetup, ToWorker, WorkerSetup } from "./messages.ts";
import { NotificationQueue } from "./notification-queue.ts";
import { writeNotifications } from "./notification-thread.ts";
import { forwardRequests, serveRequests, type WorkerPort } from "./worker-loop.ts";

async function loadFileSystem(module: string, options: unknown): Promise<FileSystem> {
  const loaded = (await import(module)) as Partial<FileSystemModule>;
  if (typeof loaded.createFileSystem !== "function") {
    throw new FuseError("Unsupported", `${module} exports no function createFileSystem(options): add it.`);
  }
  return loaded.createFileSystem(options);
}

/** The whole life of a thread of a session, of either kind. */
export async function runWorker(): Promise<void> {
  const parent = parentPort;
  if (isMainThread || parent === null)
    throw new FuseError("Unsupported", "This module is loaded by a session, in a worker.");
  const setup = workerData as WorkerSetup | NotificationSetup;
  if ("notifies" in setup) writeNotifications(parent, setup);
  else await serve(parent, setup);
}

/** Loads the file system, waits for a descriptor, serves, and says why that ended. */
async function serve(parent: MessagePort, setup: WorkerSetup): Promise<void> {
  let quit = false;
  let hearRetrieved: ((unique: number, data: Buffer) => void) | undefined;
  const notifications = new NotificationQueue((notification) => {
    const message: FromWorker = { type: "notify", notification };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    parent.postMessage(message, [notification.bytes.buffer]);
  });
  const port: WorkerPort = {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    post: (message: FromWorker) => parent.postMessage(message),
    onRetrieved: (hear) => (hearRetrieved = hear),
    quit: () => quit,
  };
  const ordered = new Promise<Extract<ToWorker, { readonly type: "serve" }> | undefined>((resolve) => {
    parent.on("message", (message: ToWorker) => {
      if (message.type === "notified") notifications.settle(message.notified);
      else if (message.type === "retrieved") hearRetrieved?.(message.unique, Buffer.from(message.data));
      else if (message.type === "quit") quit = true;
      resolve(message.type === "serve" ? message : undefined);
    });
  });
  let failure: { readonly code: string; readonly message: string } | undefined;
  try {
    const fileSystem = setup.module === undefined ? undefined : await loadFileSystem(setup.module, setup.options);
    const features = { ...fileSystem?.features, ...setup.features };
    port.post({ type: "ready", features });
    const order = await ordered;
    const ring = setup.ring === undefined ? undefined : new FrameRing(setup.ring);
    if (order !== undefined && fileSystem !== undefined) {
      const { maxInFlight, number } = setup;
      const { negotiated } = order;
      const service = { fileSystem, ring, features, maxInFlight, negotiated, notifications, number };
      await serveRequests(order.descriptor, service, port);
    } else if (order !== undefined && ring !== undefined) {
      await forwardRequests(order.descriptor, ring, port);
    }
    await fileSystem?.destroy?.();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    failure = { code: error instanceof FuseError ? error.code : "FileSystemFailed", message };
  }
  port.post({ type: "ended", failure });
  parent.close();
}
