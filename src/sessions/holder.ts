import type { Inode } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { SessionEvent } from "./types.ts";

/**
 * The other end of a session: what it has read, and may go on answering from. It knows until when it may trust that, earlier than its coordinator does by a margin for
 * clocks that do not run alike, and forgets what it is told has changed.
 */

/** Of what was granted, counted from when it was asked for: so far clocks may run apart in that time. */
const TRUSTED_PART = 0.9;

export interface Learned<T> {
  /** What was read is no older than this. */
  readonly revision: number;
  /** What the coordinator said may be answered from. */
  readonly covered: readonly Inode[];
  readonly names?: readonly { readonly parent: Inode; readonly name: string; readonly value: T }[];
  /** `under`: the directory that tells of it; absent: it is covered by itself. */
  readonly inodes?: readonly { readonly inode: Inode; readonly under?: Inode; readonly value: T }[];
}

interface Known<T> {
  readonly value: T;
  readonly through: Inode;
}

export class Holder<T> {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #covered = new Set<Inode>();
  readonly #withheld = new Set<Inode>();
  readonly #names = new Map<string, Known<T>>();
  readonly #inodes = new Map<Inode, Known<T>>();
  /** When what an inode covers was last touched, as far as that was told: an answer may be on its way that was read before. */
  readonly #touched = new Map<Inode, number>();
  /** The same for all that is not remembered there any more. */
  #touchedBefore = 0;
  readonly #leases = new Map<Inode, number>();
  /** Write leases that are wanted back, by epoch, also before it is told that it has them: until when they may be used. */
  readonly #recalled = new Map<number, number>();
  #trustedUntilMs = Number.NEGATIVE_INFINITY;
  #acknowledged = 0;

  constructor(clock: Clock, { most }: { readonly most: number }) {
    this.#clock = clock;
    this.#most = most;
  }

  /** Its coordinator has heard of it. */
  renewed({ sentAtMs, grantedMs }: { readonly sentAtMs: number; readonly grantedMs: number }): void {
    this.#trustedUntilMs = Math.max(this.#trustedUntilMs, sentAtMs + grantedMs * TRUSTED_PART);
  }

  /** Also what it has locked is its own only as long as this. */
  get isTrusted(): boolean {
    return this.#clock.monotonicMs() < this.#trustedUntilMs;
  }

  /** The revision that it may acknowledge. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  learn({ revision, covered, names = [], inodes = [] }: Learned<T>): void {
    for (const inode of covered) this.#covered.add(inode);
    const isNews = (through: Inode): boolean => (this.#touched.get(through) ?? this.#touchedBefore) <= revision;
    for (const { parent, name, value } of names)
      if (covered.includes(parent) && isNews(parent))
        keep(this.#names, `${parent} ${name}`, { value, through: parent }, this.#most);
    for (const { inode, under: through = inode, value } of inodes)
      if (covered.includes(inode) && covered.includes(through) && isNews(through) && isNews(inode))
        keep(this.#inodes, inode, { value, through }, this.#most);
  }

  name(parent: Inode, name: string): T | undefined {
    return this.#trusted(this.#names.get(`${parent} ${name}`), parent);
  }

  inode(inode: Inode): T | undefined {
    return this.#trusted(this.#inodes.get(inode), inode);
  }

  #trusted(known: Known<T> | undefined, inode: Inode): T | undefined {
    if (known === undefined || !this.isTrusted || !this.#covered.has(known.through)) return undefined;
    return this.#withheld.has(known.through) || this.#withheld.has(inode) ? undefined : known.value;
  }

  /** Afterwards it may acknowledge the event. */
  apply({ revision, touches, withheld = [], released = [], recalls = [], everything }: SessionEvent): void {
    if (everything === true) this.forget();
    for (const { epoch, withinMs } of recalls) {
      // Who hears it twice has the time from when it was heard first.
      const untilMs = this.#recalled.get(epoch) ?? this.#clock.monotonicMs() + withinMs * TRUSTED_PART;
      keep(this.#recalled, epoch, untilMs, this.#most);
    }
    for (const inode of withheld) this.#withheld.add(inode);
    for (const inode of released) this.#withheld.delete(inode);
    for (const touch of touches) {
      if ("name" in touch) {
        this.#names.delete(`${touch.parent} ${touch.name}`);
        this.#remember(touch.parent, revision);
        continue;
      }
      this.#inodes.delete(touch.inode);
      this.#remember(touch.inode, revision);
      if (touch.parent !== undefined) this.#remember(touch.parent, revision);
    }
    this.#acknowledged = Math.max(this.#acknowledged, revision);
  }

  #remember(inode: Inode, revision: number): void {
    this.#touched.delete(inode);
    this.#touched.set(inode, revision);
    if (this.#touched.size <= this.#most) return;
    const [oldest] = this.#touched;
    this.#touched.delete((oldest as [Inode, number])[0]);
    this.#touchedBefore = (oldest as [Inode, number])[1];
  }

  /** It has got a write lease. */
  leased(inode: Inode, epoch: number): void {
    this.#leases.set(inode, epoch);
  }

  /** It gives it back: its coordinator is told so afterwards. */
  returned(inode: Inode): void {
    this.#leases.delete(inode);
  }

  /** The epoch by which it may write to the file. */
  writing(inode: Inode): number | undefined {
    const epoch = this.#leases.get(inode);
    if (epoch === undefined || !this.isTrusted) return undefined;
    const untilMs = this.#recalled.get(epoch);
    return untilMs === undefined || this.#clock.monotonicMs() < untilMs ? epoch : undefined;
  }

  /** It does not cover these any more: its coordinator is told so afterwards. */
  drop(inodes: readonly Inode[]): void {
    const gone = new Set(inodes);
    for (const inode of gone) {
      this.#covered.delete(inode);
      this.#withheld.delete(inode);
    }
    for (const [name, { through }] of this.#names) if (gone.has(through)) this.#names.delete(name);
    for (const [inode, { through }] of this.#inodes) if (gone.has(through)) this.#inodes.delete(inode);
  }

  /** Before it goes to another coordinator, or when it was cut off. */
  forget(): void {
    this.#covered.clear();
    this.#withheld.clear();
    this.#names.clear();
    this.#inodes.clear();
  }

  /** Its session is over. */
  end(): void {
    this.forget();
    this.#leases.clear();
    this.#trustedUntilMs = Number.NEGATIVE_INFINITY;
  }
}

/** The newest are kept. */
function keep<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  const [oldest] = map.keys();
  map.delete(oldest as K);
}
