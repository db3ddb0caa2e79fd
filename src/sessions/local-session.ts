import type { Inode, SessionId } from "../core/ids.ts";
import type { SessionRow } from "./rows.ts";
import type { SessionChannel, SessionEvent } from "./types.ts";
import type { Wait } from "./wait.ts";

/** A session that this coordinator serves: what it was told and has not acknowledged, and until when it may trust what it covers. */

/** More than this is not kept for a session that lags: it is cut off, and reads again. */
export const BOUNDS = { events: 1_000, touches: 10_000 } as const;

interface Unacknowledged {
  readonly event: SessionEvent;
  readonly pushedAtMs: number;
  readonly waits: Wait[];
}

export class LocalSession {
  readonly id: SessionId;
  readonly row: SessionRow;
  /** Inodes that it covers. */
  readonly covered = new Set<Inode>();
  /** On the coordinator's clock: nothing is trusted behind it. */
  deadlineMs: number;
  /** It is to be over at its deadline. */
  isBarred = false;
  #unacknowledged: Unacknowledged[] = [];
  #touches = 0;
  #channel: SessionChannel | undefined;

  constructor(id: SessionId, row: SessionRow, nowMs: number) {
    this.id = id;
    this.row = row;
    this.deadlineMs = nowMs + row.ttlMs;
  }

  /** False when it lags too far behind: then it is to be cut off. */
  push(event: SessionEvent, wait: Wait | undefined, nowMs: number): boolean {
    const size = sizeOf(event);
    if (this.#unacknowledged.length >= BOUNDS.events || this.#touches + size > BOUNDS.touches) return false;
    this.#touches += size;
    this.#unacknowledged.push({ event, pushedAtMs: nowMs, waits: wait === undefined ? [] : [wait] });
    this.#channel?.push(event);
    return true;
  }

  /** One event takes the place of this and of all that it has not acknowledged. Who waits for those waits for it. */
  cutOff({ revision, recalls: newest = [] }: SessionEvent, wait: Wait | undefined, nowMs: number): void {
    const waits = this.#unacknowledged.flatMap((each) => each.waits);
    if (wait !== undefined) waits.push(wait);
    const recalls = [...this.#unacknowledged.flatMap(({ event: { recalls: older = [] } }) => older), ...newest];
    const event: SessionEvent = {
      revision,
      touches: [],
      everything: true,
      ...(recalls.length === 0 ? {} : { recalls }),
    };
    this.#unacknowledged = [{ event, pushedAtMs: this.#unacknowledged[0]?.pushedAtMs ?? nowMs, waits }];
    this.#touches = 0;
    this.#channel?.push(event);
  }

  /** Of one that is cut off: until it knows, it may trust what this commit has changed. */
  alsoAwait(wait: Wait): void {
    this.#unacknowledged[0]?.waits.push(wait);
  }

  /** Nothing is covered before it says that it knows. */
  get isCutOff(): boolean {
    return this.#unacknowledged[0]?.event.everything === true;
  }

  get lag(): number {
    return this.#unacknowledged.length;
  }

  /** The events that this has acknowledged. */
  acknowledge(revision: number): SessionEvent[] {
    const known: SessionEvent[] = [];
    while (this.#unacknowledged.length > 0 && (this.#unacknowledged[0] as Unacknowledged).event.revision <= revision) {
      const { event, waits } = this.#unacknowledged.shift() as Unacknowledged;
      this.#touches -= sizeOf(event);
      known.push(event);
      for (const wait of waits) wait.settle(this);
    }
    return known;
  }

  /** Not beyond the time to live of the oldest event that it has not acknowledged, so that no commit waits longer than that. */
  extend(nowMs: number): number {
    const oldestMs = this.#unacknowledged[0]?.pushedAtMs ?? nowMs;
    this.deadlineMs = Math.max(this.deadlineMs, oldestMs + this.row.ttlMs);
    return Math.max(0, this.deadlineMs - nowMs);
  }

  attach(channel: SessionChannel): void {
    this.#channel = channel;
    for (const { event } of this.#unacknowledged) channel.push(event);
  }

  detach(channel: SessionChannel): void {
    if (this.#channel === channel) this.#channel = undefined;
  }

  /** It trusts nothing any more. */
  end(): void {
    for (const { waits } of this.#unacknowledged) for (const wait of waits) wait.settle(this);
    this.#unacknowledged = [];
  }
}

function sizeOf({ touches, withheld = [], released = [] }: SessionEvent): number {
  return touches.length + withheld.length + released.length;
}
