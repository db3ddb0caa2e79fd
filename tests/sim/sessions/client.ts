import { GfsError, isGfsError } from "../../../src/core/errors.ts";
import type { Inode } from "../../../src/core/ids.ts";
import type { Clock } from "../../../src/core/ports/clock.ts";
import type { Random } from "../../../src/core/ports/random.ts";
import {
  Holder,
  type LockMode,
  type OpenedSession,
  type Recall,
  type SessionChannel,
  type SessionEvent,
} from "../../../src/sessions/index.ts";
import type { Node } from "./node.ts";
import type { Time } from "./time.ts";

/** Whoever caches: a session with a holder, over a line that is slow, is cut, and may have nobody at its other end. */

const SLOWEST_MS = 15;
const KEEP_ALIVE_MS = 400;
const PATIENCE_MS = 1_500;

export interface OwnLock {
  readonly inode: Inode;
  readonly kind: "flock" | "posix";
  readonly owner: string;
  readonly mode: LockMode;
  readonly start: number;
  readonly end: number;
}

export interface ClientOptions {
  readonly name: string;
  readonly time: Time;
  readonly random: Random;
  readonly rate: number;
  /** Somebody who may serve it. */
  readonly pick: () => Node;
}

export class Client {
  readonly name: string;
  readonly holder: Holder<number>;
  readonly #time: Time;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #pick: () => Node;
  node: Node | undefined;
  session: OpenedSession | undefined;
  locks: OwnLock[] = [];
  /** Those that it has asked to write to. */
  readonly asking = new Set<Inode>();
  isPaused = false;
  isDead = false;
  #line = 0;
  #hungUp = new AbortController();
  readonly #asked = new Set<Promise<unknown>>();
  #lastAt = 0;
  #held: (() => void)[] = [];
  #isConnecting = false;
  /** Who served it when it was last heard of. */
  #last: Node | undefined;

  constructor({ name, time, random, rate, pick }: ClientOptions) {
    this.name = name;
    this.#time = time;
    this.#random = random;
    this.#clock = time.clock({ rate });
    this.#pick = pick;
    this.holder = new Holder(this.#clock, { most: 100 });
  }

  start(): void {
    void this.#live();
  }

  async #live(): Promise<void> {
    while (!this.isDead) {
      if (!this.isPaused) await this.#keepAlive();
      await this.#time.sleep(KEEP_ALIVE_MS * (0.5 + this.#random.fraction()));
    }
  }

  async #keepAlive(): Promise<void> {
    const { node, session } = this;
    if (node === undefined || session === undefined) return await this.connect();
    const sentAtMs = this.#clock.monotonicMs();
    try {
      const { grantedMs } = await this.#call(node, () => node.sessions.keepAlive(session, this.holder.acknowledged));
      this.holder.renewed({ sentAtMs, grantedMs });
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (isGfsError(error, "StaleEpoch")) this.#lose();
    else if (isGfsError(error, "Unavailable", "Timeout")) this.node = undefined;
    else throw error;
  }

  #lose(): void {
    this.holder.end();
    this.session = undefined;
    this.locks = [];
  }

  /** To whoever is there: anew, or with the session that it has. */
  async connect(): Promise<void> {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    const node = this.#pick();
    const line = this.#hangUp();
    const { session } = this;
    try {
      const sentAtMs = this.#clock.monotonicMs();
      const isSame = session !== undefined && node === this.#last;
      this.#last = undefined;
      const former = [...this.#asked];
      // What it covers is known to nobody else.
      if (!isSame) this.holder.forget();
      const opened = await this.#call(node, async () => {
        await Promise.allSettled(former);
        const found = isSame || session !== undefined ? session : await node.sessions.open({ host: this.name });
        if (session !== undefined && !isSame) await node.sessions.reclaim(session);
        node.sessions.attach(found, this.#channel(line));
        return { ...found, ...node.sessions.keepAlive(found, 0) };
      });
      this.#last = node;
      this.session ??= opened;
      this.node = node;
      this.holder.renewed({ sentAtMs, grantedMs: opened.grantedMs });
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isConnecting = false;
    }
  }

  cut(): void {
    this.#hangUp();
    this.node = undefined;
  }

  /** What was asked on the line is given up at its other end. */
  #hangUp(): number {
    this.#hungUp.abort();
    this.#hungUp = new AbortController();
    return ++this.#line;
  }

  #channel(line: number): SessionChannel {
    return { push: (event) => this.#deliver(line, () => this.#hear(event)) };
  }

  #hear(event: SessionEvent): void {
    this.holder.apply(event);
    for (const recall of event.recalls ?? []) this.#recalled(recall);
    const { node, session } = this;
    // Some acknowledgements get lost; the next one, or what keeps it alive, says the same.
    if (node === undefined || session === undefined || this.#random.fraction() < 0.1) return;
    const { acknowledged } = this.holder;
    node.ask(() => node.sessions.acknowledge(session, acknowledged)).catch(() => undefined);
  }

  #recalled({ inode, epoch }: Recall): void {
    // Some give it back, some do not hear.
    if (this.holder.writing(inode) === epoch && this.#random.fraction() < 0.6)
      void this.giveBack(inode).catch(() => undefined);
  }

  async giveBack(inode: Inode): Promise<void> {
    this.holder.returned(inode);
    await this.ask(async (node, session) => await node.sessions.releaseWriteLease(session, inode));
  }

  /** In order, as one stream is; what comes while it stands still waits, and what was on a line that was cut is lost. */
  #deliver(line: number, run: () => void, lost: () => void = () => undefined): void {
    const arrive = (): void => (line === this.#line && !this.isDead ? run() : lost());
    this.#lastAt = Math.max(this.#lastAt, this.#time.nowMs + this.#random.fraction() * SLOWEST_MS);
    this.#time.at(this.#lastAt - this.#time.nowMs, () => {
      if (this.isPaused || this.#held.length > 0) this.#held.push(arrive);
      else arrive();
    });
  }

  resume(): void {
    this.isPaused = false;
    for (const run of this.#held.splice(0)) run();
  }

  /** The answer comes on the same line as what is pushed. */
  async #call<T>(node: Node, work: () => Promise<T> | T): Promise<T> {
    const line = this.#line;
    return await new Promise<T>((resolve, reject) => {
      node.ask(work).then(
        (value) => this.#deliver(line, () => resolve(value)),
        (error: unknown) => this.#deliver(line, () => reject(error)),
      );
      this.#time.at(PATIENCE_MS, () => reject(new GfsError("Timeout", "Nobody answers.")));
    });
  }

  async ask<T>(
    work: (node: Node, session: OpenedSession, signal: AbortSignal) => Promise<T> | T,
  ): Promise<T | undefined> {
    const { node, session } = this;
    if (node === undefined || session === undefined) return undefined;
    const line = this.#line;
    return await new Promise<T | undefined>((resolve, reject) => {
      const give = (run: () => void): void => this.#deliver(line, run, () => resolve(undefined));
      const { signal } = this.#hungUp;
      const asked = node.ask(async () => await work(node, session, signal));
      this.#asked.add(asked);
      asked.finally(() => this.#asked.delete(asked)).catch(() => undefined);
      asked.then(
        (value) => give(() => resolve(this.session === session ? value : undefined)),
        (error: unknown) =>
          give(() => {
            if (isGfsError(error, "StaleEpoch", "Unavailable") || signal.aborted) {
              if (this.session === session && isGfsError(error, "StaleEpoch") && error.op === "sessions") this.#lose();
              resolve(undefined);
            } else reject(error);
          }),
      );
    });
  }
}
