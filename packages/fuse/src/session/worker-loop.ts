import { read } from "node:fs";
import { setImmediate, setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import type { FuseError } from "../protocol/errors.ts";
import { Frame } from "../protocol/frame.ts";
import type { Features, Negotiated } from "../protocol/negotiation.ts";
import { Opcode } from "../protocol/opcodes.ts";
import { DEVICE_AGAIN, DEVICE_ENDED, DEVICE_UNMOUNTED, meaningOfReadError, readRequest, writeReply } from "./device.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { FileSystem } from "./file-system.ts";
import type { FrameRing } from "./frame-ring.ts";
import type { FromWorker } from "./messages.ts";
import { DeviceNotifier, originOfRetrieval } from "./notifier.ts";
import type { NotificationQueue } from "./notification-queue.ts";
import { sessionSizes } from "./sizes.ts";

/** How long to wait for the mount, or for a descriptor that does not block. */
const RETRY_MS = 1;
/** How often a promise that is already settled gets the chance to say so before the slower way of reading is taken. */
const MICROTASK_TURNS = 3;

const readAsync = promisify(read);

export interface WorkerPort {
  post(message: FromWorker): void;
  /** Hears of retrievals that other threads have read. */
  onRetrieved(hear: (unique: number, data: Buffer) => void): void;
  /** Becomes true when nothing will be mounted after all. */
  quit(): boolean;
}

/** Reads without blocking the event loop of this thread, which has promises to settle. */
async function readLater(descriptor: number, into: Buffer): Promise<number> {
  try {
    const { bytesRead } = await readAsync(descriptor, into, 0, into.length, null);
    return bytesRead;
  } catch (error) {
    return meaningOfReadError(error) ?? DEVICE_AGAIN;
  }
}

/** Reads requests for the main thread, and does nothing else. Returns when the file system has been unmounted. */
export async function forwardRequests(descriptor: number, ring: FrameRing, port: WorkerPort): Promise<void> {
  for (;;) {
    const slot = ring.acquire();
    if (slot === -1) return;
    const readBytes = readRequest(descriptor, ring.buffer(slot));
    if (readBytes >= 0) {
      if (ring.push(slot, readBytes)) port.post({ type: "frames" });
    } else if (readBytes === DEVICE_ENDED || port.quit()) {
      return;
    } else {
      await setTimeout(RETRY_MS);
    }
  }
}

export interface LocalService {
  readonly fileSystem: FileSystem;
  /** For what the file system defers to the main thread. */
  readonly ring: FrameRing | undefined;
  readonly features: Features;
  readonly maxInFlight: number;
  readonly negotiated: Negotiated | undefined;
  /** Leads to the thread that writes notifications. */
  readonly notifications: NotificationQueue;
  /** The number of this worker. */
  readonly number: number;
}

/**
 * Carries requests out in this thread. As long as every operation returns its result at once, this blocks in `read`, which is four times as
 * fast as reading by way of the event loop. While promises are pending it reads by way of the event loop, so that they can settle.
 */
export async function serveRequests(descriptor: number, service: LocalService, port: WorkerPort): Promise<void> {
  const { fileSystem, ring, features } = service;
  const sizes = sessionSizes(features, service.maxInFlight);
  const notifier = new DeviceNotifier({ descriptor, queue: service.notifications }, service.number);
  port.onRetrieved((unique, data) => notifier.retrieved(unique, data));
  const spareFrames: Frame[] = [];
  const newFrame = (): Frame => new Frame(Buffer.allocUnsafeSlow(sizes.frameBytes), false);
  let frame = newFrame();
  const report = ({ code, message, cause }: FuseError): void =>
    port.post({ type: "problem", code, message, stack: cause instanceof Error ? cause.stack : undefined });
  const connect = (negotiated: Negotiated): void =>
    fileSystem.init?.({ negotiated, notifier, device: descriptor, report });
  const dispatcher = new Dispatcher(
    {
      fileSystem,
      port: {
        send: (reply, data) => writeReply(descriptor, reply, data),
        onProblem: report,
        onNegotiated: (negotiated) => {
          connect(negotiated);
          port.post({ type: "negotiated", negotiated });
        },
        onRetrieved: (unique, data) => {
          if (originOfRetrieval(unique) === service.number) notifier.retrieved(unique, data);
          else port.post({ type: "retrieved", unique, data });
        },
        releaseFrame: (kept) => void spareFrames.push(kept),
      },
    },
    { features, limits: sizes.limits },
  );
  if (service.negotiated !== undefined) {
    dispatcher.adopt(service.negotiated);
    connect(service.negotiated);
  }
  for (;;) {
    for (let turn = 0; dispatcher.pending > 0 && turn < MICROTASK_TURNS; turn += 1) await Promise.resolve();
    while (dispatcher.full) await dispatcher.settled();
    if (notifier.takeNews()) await setImmediate();
    const blocking = dispatcher.pending === 0 && notifier.pending === 0;
    const readBytes = blocking ? readRequest(descriptor, frame.bytes) : await readLater(descriptor, frame.bytes);
    if (readBytes >= 0) {
      const outcome = dispatcher.dispatch(frame, readBytes);
      if (outcome === "kept") frame = spareFrames.pop() ?? newFrame();
      else if (outcome === "deferred" && !forward(frame, readBytes, { ring, port })) refuse(dispatcher, frame);
    } else if (readBytes === DEVICE_ENDED || (readBytes === DEVICE_UNMOUNTED && port.quit())) {
      break;
    } else {
      await setTimeout(RETRY_MS);
    }
  }
  notifier.close();
  await dispatcher.drain();
}

/** Copies a request for the main thread. False if there is no file system, or the session is over. */
function forward(
  frame: Frame,
  readBytes: number,
  { ring, port }: { readonly ring: FrameRing | undefined; readonly port: WorkerPort },
): boolean {
  if (ring === undefined) return false;
  const slot = ring.acquire();
  if (slot === -1) return true;
  frame.bytes.copy(ring.buffer(slot), 0, 0, readBytes);
  if (ring.push(slot, readBytes)) port.post({ type: "frames" });
  return true;
}

/** Nobody is there to take a request that was deferred. */
function refuse(dispatcher: Dispatcher, frame: Frame): void {
  if (frame.opcode === Opcode.INTERRUPT) dispatcher.refuseInterrupt(frame);
  else dispatcher.refuse(frame);
}
