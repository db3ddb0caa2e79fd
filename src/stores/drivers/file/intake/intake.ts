import type { Clock } from "../../../../core/ports/clock.ts";
import type { Disk, DiskLock } from "../../../../core/ports/disk.ts";
import { GfsError } from "../../../../core/errors.ts";
import { errnoOf, TAKES_NOTHING } from "../failures.ts";
import type { Layout } from "../layout.ts";
import { SharedFlush } from "../shared-flush.ts";
import { type IntakeBounds, IntakeLog, type Noted, type Standing } from "./log.ts";
import type { IntakeRecord } from "./record-codec.ts";
import { GUESTS, openSegments, OWNER, removeSegments, settleSegments } from "./settling.ts";

export interface IntakeConfig extends IntakeBounds {
  /** Contents of up to so many bytes are noted in segments; 0: none, each is flushed by itself. */
  readonly limitBytes: number;
}

export interface IntakeDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly layout: Layout;
  /** Makes again what segments speak of and the disk has not kept. */
  readonly replay: () => Promise<void>;
  readonly onStanding: (standing: Standing) => void;
}

/** So often segments are retired, and what is not used is let go, so that an idle disk can be unmounted. */
const TURN_MS = 5_000;
/** After others have come, or were there. */
const AGAIN_MS = 5_000;
const RETRY_MS = 10;

/** The directory takes nothing, or is not there: what is to be changed will say so itself. */
const NOT_HERE: ReadonlySet<string> = new Set([...TAKES_NOTHING, "ENOENT", "ENOTDIR", "EACCES", "EPERM"]);

type Role = "owner" | "guest";

/**
 * Small contents on their way to durable files of their own: noted in a segment first, with one flush for all that arrived together, and made files at
 * once that the file system flushes when it likes, at the latest when the segment is retired.
 *
 * One process at a time owns the intake of a site. Others that change it are guests: they take away the owner's segments before their first change, so that
 * no record speaks of what they change, and while one of them is there the owner uses none.
 */
export class Intake {
  readonly #deps: IntakeDeps;
  readonly #config: IntakeConfig;
  readonly #settling = new SharedFlush();
  #held: { readonly role: Role; readonly lock: DiskLock; readonly sinceMs: number } | undefined;
  #log: IntakeLog | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #entering: Promise<void> | undefined;
  #active = 0;
  #wasUsed = false;
  #cancelTurn: (() => void) | undefined;
  #turning: Promise<void> = Promise.resolve();
  /** Segments of an earlier life lie there, and could not be replayed yet. */
  #isBehind = false;

  constructor(deps: IntakeDeps, config: IntakeConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  get #directory(): string {
    return this.#deps.layout.intake;
  }

  /** Whether contents of this size go through segments now, as far as can be told. */
  takes(sizeBytes: number): boolean {
    return (
      this.#deps.disk.isLocal &&
      sizeBytes <= this.#config.limitBytes &&
      this.#held?.role !== "guest" &&
      this.#deps.clock.monotonicMs() >= this.#notBeforeMs
    );
  }

  get isUsed(): boolean {
    return this.#deps.disk.isLocal && this.#config.limitBytes > 0;
  }

  /** Whether a record speaks of the key, so that its file may not be durable by itself. */
  isNoted(key: string): boolean {
    return this.#log?.isLive(key) === true;
  }

  get #standing(): Standing {
    return this.#log?.standing ?? { records: 0, bytes: 0 };
  }

  /** Before anything is answered: what was acknowledged before the power went is made again. */
  async recover(): Promise<void> {
    const { disk, clock, layout } = this.#deps;
    if (!disk.isLocal) return;
    try {
      while ((await openSegments(disk, this.#directory)).length > 0) {
        // Whoever owns them is at work, or replays them; he keeps guests away only in the second case.
        const owner = await disk.lock(`${this.#directory}/${OWNER}`, "exclusive");
        const guest = await disk.lock(`${this.#directory}/${GUESTS}`, owner === undefined ? "shared" : "exclusive");
        try {
          if (guest !== undefined && owner === undefined) return;
          if (guest !== undefined) return await this.#deps.replay();
        } finally {
          guest?.release();
          owner?.release();
        }
        await clock.sleep(RETRY_MS);
      }
    } catch (error) {
      if (!NOT_HERE.has(errnoOf(error) ?? "")) throw error;
      await layout.assertMounted("store.open");
      // A disk to read from only still gives what it holds; before it is written to that is set right.
      this.#isBehind = true;
    }
  }

  /** Around each change of the site. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#deps.disk.isLocal) return await work();
    this.#active += 1;
    this.#wasUsed = true;
    try {
      if (this.#held === undefined || this.#mayRise()) {
        this.#entering ??= this.#enter().finally(() => {
          this.#entering = undefined;
        });
        await this.#entering;
      }
      return await work();
    } finally {
      this.#active -= 1;
    }
  }

  #mayRise(): boolean {
    const held = this.#held;
    return held?.role === "guest" && this.#deps.clock.monotonicMs() - held.sinceMs > AGAIN_MS;
  }

  async #enter(): Promise<void> {
    const { disk, clock } = this.#deps;
    try {
      await this.#makeDirectory();
      const owner = await disk.lock(`${this.#directory}/${OWNER}`, "exclusive");
      if (owner !== undefined) {
        this.#held?.lock.release();
        this.#held = undefined;
        try {
          await this.#deps.replay();
        } catch (error) {
          owner.release();
          throw error;
        }
        this.#hold("owner", owner);
      } else if (this.#held === undefined) await this.#enterAsGuest();
      else this.#held = { ...this.#held, sinceMs: clock.monotonicMs() };
    } catch (error) {
      if (!NOT_HERE.has(errnoOf(error) ?? "") || this.#isBehind) throw error;
    }
  }

  async #enterAsGuest(): Promise<void> {
    const { disk, clock } = this.#deps;
    if (this.#isBehind) {
      throw new GfsError("Unavailable", "Another process sets this site right after a loss of power; try again.", {
        op: "store.intake",
      });
    }
    for (;;) {
      const lock = await disk.lock(`${this.#directory}/${GUESTS}`, "shared");
      if (lock === undefined) {
        // The owner looks for guests, or replays what an earlier life has left.
        await clock.sleep(RETRY_MS);
        continue;
      }
      try {
        await settleSegments(disk, this.#directory, "what they say");
      } catch (error) {
        lock.release();
        throw error;
      }
      return this.#hold("guest", lock);
    }
  }

  #hold(role: Role, lock: DiskLock): void {
    this.#isBehind = false;
    this.#held = { role, lock, sinceMs: this.#deps.clock.monotonicMs() };
    this.#cancelTurn ??= this.#deps.clock.timer(TURN_MS, () => this.#turn());
  }

  async #makeDirectory(): Promise<void> {
    const { disk } = this.#deps;
    try {
      await disk.makeDirectory(this.#directory);
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return;
      throw error;
    }
    await disk.syncDirectory(this.#directory.slice(0, this.#directory.lastIndexOf("/")));
  }

  /** See `IntakeLog.append`. Within `during`. */
  async note(record: IntakeRecord): Promise<Noted | undefined> {
    const log = await this.#usableLog();
    return await log?.append(record);
  }

  async #usableLog(): Promise<IntakeLog | undefined> {
    if (this.#config.limitBytes === 0 || this.#held?.role !== "owner") return undefined;
    if (this.#deps.clock.monotonicMs() < this.#notBeforeMs) return undefined;
    if (this.#log?.isOver === true) {
      // The one that is over holds what it has until a turn has seen to it.
      this.#notBeforeMs = this.#deps.clock.monotonicMs() + AGAIN_MS;
      return undefined;
    }
    this.#log ??= new IntakeLog(
      {
        disk: this.#deps.disk,
        pathOf: (slot) => `${this.#directory}/segment-${slot}`,
        mayUse: async () => await this.#isAlone(),
        onStanding: () => this.#deps.onStanding(this.#standing),
        remove: async (path) => await removeSegments(this.#deps.disk, this.#directory, [path]),
        onLost: async () =>
          await this.#settling.run("all", async () => await settleSegments(this.#deps.disk, this.#directory, "all")),
      },
      this.#config,
    );
    return this.#log;
  }

  /** Asked when a segment has its name: a guest who comes later finds it there. */
  async #isAlone(): Promise<boolean> {
    const { disk } = this.#deps;
    await disk.syncDirectory(this.#directory);
    const lock = await disk.lock(`${this.#directory}/${GUESTS}`, "exclusive");
    lock?.release();
    return lock !== undefined;
  }

  /** What lies under the key is durable by itself: no record speaks of it from here on. */
  async forget(key: string): Promise<void> {
    await this.#log?.forget(key);
  }

  #turn(): void {
    this.#cancelTurn = undefined;
    this.#turning = this.#takeTurn().catch(() => undefined);
  }

  async #takeTurn(): Promise<void> {
    try {
      if (this.#log !== undefined && this.#log.standing.records > 0) await this.#log.retireAll();
      const isIdle = this.#active === 0 && !this.#wasUsed;
      if (isIdle || this.#log?.isOver === true) await this.#endLog();
      // It may have been taken up again meanwhile.
      if (isIdle && this.#active === 0 && !this.#wasUsed) this.#release();
      this.#wasUsed = false;
    } finally {
      if (this.#held !== undefined) this.#cancelTurn ??= this.#deps.clock.timer(TURN_MS, () => this.#turn());
    }
  }

  #release(): void {
    this.#held?.lock.release();
    this.#held = undefined;
  }

  /** Nothing stands in it. Its segments stay, closed, and are used by the next one. */
  async #endLog(): Promise<string[]> {
    const log = this.#log;
    if (log === undefined || (this.#active > 0 && !log.isOver)) return [];
    this.#log = undefined;
    return await log.close();
  }

  /** The place is another disk by now: nothing of what was known holds. */
  async moved(): Promise<void> {
    const log = this.#log;
    this.#log = undefined;
    await log?.close();
    this.#release();
    await this.recover();
  }

  /** Leaves nothing behind that would have to be replayed. */
  async close(): Promise<void> {
    this.#stopTurns();
    await this.#turning;
    const log = this.#log;
    this.#log = undefined;
    try {
      await log?.retireAll();
      const paths = (await log?.close()) ?? [];
      if (paths.length > 0) await removeSegments(this.#deps.disk, this.#directory, paths);
    } catch {
      // Whoever opens the site next finds the segments and replays them.
      await log?.close();
    } finally {
      this.#stopTurns();
      this.#release();
    }
  }

  #stopTurns(): void {
    this.#cancelTurn?.();
    this.#cancelTurn = undefined;
  }
}
