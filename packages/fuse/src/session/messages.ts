import type { Features, Negotiated } from "../protocol/negotiation.ts";
import type { FrameRingMemory } from "./frame-ring.ts";
import type { Notification, Notified } from "./notification-queue.ts";

/** What the thread is started with that writes notifications, see `NotificationThread`. */
export interface NotificationSetup {
  readonly notifies: number;
}

/** What a worker is started with. */
export interface WorkerSetup {
  /** Counted from 1. */
  readonly number: number;
  /** The module of a file system that lives in the worker, and its options. */
  readonly module: string | undefined;
  readonly options: unknown;
  /** Shared memory for what the main thread is to answer. */
  readonly ring: FrameRingMemory | undefined;
  readonly features: Features;
  readonly maxInFlight: number;
}

export type ToWorker =
  /** `negotiated` for all workers but the first, which negotiates. */
  | { readonly type: "serve"; readonly descriptor: number; readonly negotiated: Negotiated | undefined }
  | { readonly type: "notified"; readonly notified: Notified }
  /** The kernel's answer to a retrieval of this worker, which another thread has read. */
  | Retrieved
  /** Nothing was mounted after all. */
  | { readonly type: "quit" };

export interface Retrieved {
  readonly type: "retrieved";
  readonly unique: number;
  readonly data: Uint8Array;
}

export type FromWorker =
  | { readonly type: "ready"; readonly features: Features }
  | { readonly type: "negotiated"; readonly negotiated: Negotiated }
  | { readonly type: "frames" }
  | { readonly type: "notify"; readonly notification: Notification }
  | Retrieved
  | { readonly type: "problem"; readonly code: string; readonly message: string; readonly stack: string | undefined }
  /** The last message. `failure` says why, if it was not the unmounting. */
  | { readonly type: "ended"; readonly failure: { readonly code: string; readonly message: string } | undefined };
