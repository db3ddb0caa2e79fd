import { Semaphore } from "../../core/async/semaphore.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { SomeATurn } from "./some-a-turn.ts";

/**
 * Whose body is read now. What is read at once is bounded in bytes, and who has waited longest is next, whatever its size: bodies that come together
 * end one after the other, instead of all of them at last. A body whose client or site is slow gives its turn away and gets another one when it
 * goes on, so that none holds up the others. However many have a turn, few pieces of them are taken in each turn of the event loop: whoever asks for
 * little does not wait for all of them.
 */
export class BodyTurns {
  readonly #bytes: Semaphore;
  readonly #clock: Clock;
  readonly #having = new Set<BodyTurn>();
  readonly #pieces = new SomeATurn(PIECES_A_TURN);
  #isWatching = false;

  constructor({ maxBytes, clock }: { readonly maxBytes: number; readonly clock: Clock }) {
    this.#bytes = new Semaphore(maxBytes);
    this.#clock = clock;
  }

  get waiting(): number {
    return this.#bytes.waiting;
  }

  /** For a body of this size; undefined where nobody says. Nothing is waited for yet. */
  turnOf(sizeBytes: number | undefined): BodyTurn {
    return new BodyTurn(this, Math.max(LEAST_BYTES, Math.min(sizeBytes ?? MOST_BYTES, MOST_BYTES)));
  }

  takeAtOnce(turn: BodyTurn): boolean {
    const release = this.#bytes.tryAcquire(turn.sizeBytes);
    if (release === undefined) return false;
    this.#give(turn, release);
    return true;
  }

  /** Undefined: at once. */
  take(turn: BodyTurn, signal: AbortSignal | undefined): void | Promise<void> {
    if (this.takeAtOnce(turn)) return undefined;
    this.#watch();
    return this.#bytes.acquire(turn.sizeBytes, signal).then((later) => this.#give(turn, later));
  }

  /** Undefined: at once. */
  takePiece(): void | Promise<void> {
    if (!this.#pieces.takes()) return new Promise((resolve) => this.#pieces.later(resolve));
  }

  leave(turn: BodyTurn): void {
    this.#having.delete(turn);
  }

  #give(turn: BodyTurn, release: () => void): void {
    turn.given(release);
    this.#having.add(turn);
  }

  /** As long as somebody waits. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#clock.timer(LOOK_MS, () => {
      this.#isWatching = false;
      for (const turn of this.#having) turn.look();
      if (this.#bytes.waiting > 0) this.#watch();
    });
  }
}

/** What a body that is under way keeps in memory at most, in buffers of the system's, of ours, and on its way to the sites. */
const MOST_BYTES = 1024 * 1024;
/** What is read of a connection at a time. */
const LEAST_BYTES = 64 * 1024;
/** Each takes some tenths of a millisecond until the site has it. */
const PIECES_A_TURN = 16;
/** A client that has us wait from one look to the next is slow; so is a site that took nothing for so many looks. */
const LOOK_MS = 100;
const LOOKS_FOR_CLIENTS = 2;
const LOOKS_FOR_SITES = 20;

export class BodyTurn {
  readonly sizeBytes: number;
  readonly #turns: BodyTurns;
  #release: (() => void) | undefined;
  #isWaiting = false;
  /** Since bytes were taken. */
  #looks = 0;

  constructor(turns: BodyTurns, sizeBytes: number) {
    this.#turns = turns;
    this.sizeBytes = sizeBytes;
  }

  /** The first turn, where nobody has to be waited for. */
  takeAtOnce(): boolean {
    return this.#turns.takeAtOnce(this);
  }

  /** Before bytes are taken. Undefined: it is its turn. */
  take(signal?: AbortSignal): void | Promise<void> {
    this.#isWaiting = false;
    this.#looks = 0;
    if (this.#release === undefined) return this.#turns.take(this, signal);
    return this.#turns.takePiece();
  }

  /** The client sends nothing just now. */
  pause(): void {
    this.#isWaiting = true;
  }

  end(): void {
    this.#release?.();
    this.#release = undefined;
    this.#turns.leave(this);
  }

  given(release: () => void): void {
    this.#release = release;
  }

  look(): void {
    this.#looks += 1;
    if (this.#looks >= (this.#isWaiting ? LOOKS_FOR_CLIENTS : LOOKS_FOR_SITES)) this.end();
  }
}
