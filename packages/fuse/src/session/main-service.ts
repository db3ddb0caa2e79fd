import { FuseError } from "../protocol/errors.ts";
import { Frame } from "../protocol/frame.ts";
import type { Features, Negotiated } from "../protocol/negotiation.ts";
import { Opcode } from "../protocol/opcodes.ts";
import { writeReply } from "./device.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { FileSystem } from "./file-system.ts";
import type { FrameRing } from "./frame-ring.ts";
import type { DeviceNotifier } from "./notifier.ts";
import { sessionSizes } from "./sizes.ts";

/** After so many requests the event loop gets a turn. */
const REQUESTS_PER_TURN = 64;

export interface MainServicePort {
  onProblem(error: FuseError): void;
  onNegotiated(negotiated: Negotiated): void;
  /** A frame could not be understood, or an answer not be sent: the session has to end. */
  onFailure(error: FuseError): void;
}

/** Carries out in the main thread what one worker reads from the device. */
export class MainService {
  readonly #ring: FrameRing;
  readonly #dispatcher: Dispatcher;
  readonly #frames: readonly Frame[];
  readonly #port: MainServicePort;
  #running = false;
  #failed = false;

  constructor(
    deps: {
      readonly fileSystem: FileSystem;
      readonly ring: FrameRing;
      readonly notifier: DeviceNotifier;
      readonly port: MainServicePort;
    },
    config: { readonly features: Features; readonly maxInFlight: number; readonly descriptor: number },
  ) {
    const { fileSystem, ring, notifier, port } = deps;
    this.#ring = ring;
    this.#port = port;
    this.#frames = Array.from({ length: ring.slots }, (_, slot) => new Frame(ring.buffer(slot), true));
    this.#dispatcher = new Dispatcher(
      {
        fileSystem,
        port: {
          send: (reply, data) => writeReply(config.descriptor, reply, data),
          onProblem: (error) => port.onProblem(error),
          onNegotiated: (negotiated) => port.onNegotiated(negotiated),
          onRetrieved: (unique, data) => notifier.retrieved(unique, data),
          // Frames of a ring are shared, so none of them is ever kept.
          releaseFrame: () => undefined,
        },
      },
      { features: config.features, limits: sessionSizes(config.features, config.maxInFlight).limits },
    );
  }

  adopt(negotiated: Negotiated): void {
    this.#dispatcher.adopt(negotiated);
  }

  /** The worker has put frames into the ring. */
  wake(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  /** Answers what is still in the ring, interrupts what is pending, and resolves when all of it has been answered. */
  async drain(): Promise<void> {
    this.wake();
    await this.#dispatcher.drain();
  }

  async #run(): Promise<void> {
    try {
      do {
        let budget = REQUESTS_PER_TURN;
        for (let slot = this.#ring.shift(); slot !== -1; slot = this.#ring.shift()) {
          this.#handle(slot);
          while (this.#dispatcher.full) await this.#dispatcher.settled();
          budget -= 1;
          if (budget === 0) {
            await new Promise((resolve) => void setImmediate(resolve));
            budget = REQUESTS_PER_TURN;
          }
        }
      } while (!this.#ring.sleep());
    } catch (error) {
      this.#failed = true;
      this.#port.onFailure(
        error instanceof FuseError ? error : new FuseError("FileSystemFailed", String(error), { cause: error }),
      );
    } finally {
      this.#running = false;
    }
  }

  #handle(slot: number): void {
    const frame = this.#frames[slot] as Frame;
    try {
      if (this.#failed) return;
      const outcome = this.#dispatcher.dispatch(frame, this.#ring.lengthBytes(slot));
      if (outcome !== "deferred") return;
      if (frame.opcode === Opcode.INTERRUPT) this.#dispatcher.refuseInterrupt(frame);
      else this.#dispatcher.refuse(frame);
    } finally {
      this.#ring.release(slot);
    }
  }
}
