import type { MessagePort } from "node:worker_threads";
import { Worker } from "node:worker_threads";
import { writeNotification } from "./device.ts";
import type { NotificationSetup } from "./messages.ts";
import { NotificationQueue, type Notification, type Notified } from "./notification-queue.ts";

/**
 * A thread that does nothing but write notifications. The kernel keeps it waiting while it takes the locks of pages and directories, and those
 * may belong to requests that are still to be answered: neither the threads that answer nor libuv's pool, on which answers may depend, may wait
 * there. It is started when there is a first notification of that kind.
 */
export class NotificationThread {
  readonly queue = new NotificationQueue((notification) => this.#post(notification));
  readonly #descriptor: number;
  readonly #workerUrl: URL;
  #worker: Worker | undefined;

  constructor(descriptor: number, workerUrl: URL) {
    this.#descriptor = descriptor;
    this.#workerUrl = workerUrl;
  }

  #post(notification: Notification): void {
    this.#worker ??= this.#start();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(notification, [notification.bytes.buffer]);
  }

  #start(): Worker {
    const workerData: NotificationSetup = { notifies: this.#descriptor };
    const worker = new Worker(this.#workerUrl, { workerData, trackUnmanagedFds: false, name: "fuse-notify" });
    worker.unref();
    worker.on("message", (notified: Notified) => this.queue.settle(notified));
    worker.on("error", (error) => {
      const message = `The thread that tells the kernel of changes failed: ${error.message}. Tell it again.`;
      this.#worker = undefined;
      this.queue.settleAll({ taken: false, failure: { code: "FileSystemFailed", message } });
    });
    return worker;
  }

  /** To be called once the file system is unmounted, and before the descriptor is closed, whose number may then mean something else. */
  async close(): Promise<void> {
    this.queue.close();
    await this.#worker?.terminate();
  }
}

/** The whole life of the thread. */
export function writeNotifications(parent: MessagePort, { notifies }: NotificationSetup): void {
  parent.on("message", ({ id, bytes }: Notification) => {
    const notified: Notified = { id, ...writeNotification(notifies, bytes) };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    parent.postMessage(notified);
  });
}
