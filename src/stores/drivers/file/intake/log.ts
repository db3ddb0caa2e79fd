import type { Disk } from "../../../../core/ports/disk.ts";
import { BLOCK_BYTES, type IntakeRecord, type PreparedRecord, prepareRecord } from "./record-codec.ts";
import { Segment } from "./segment.ts";

/** How much may stand in segments that the file system has not been told to flush. */
export interface IntakeBounds {
  readonly segmentBytes: number;
  readonly segmentRecords: number;
  readonly segments: number;
}

export const BOUNDS: IntakeBounds = { segmentBytes: 8 * 1024 ** 2, segmentRecords: 4_000, segments: 4 };
const BATCH_BYTES = 1024 ** 2;

/** What is in segments and has not been flushed as files. */
export interface Standing {
  readonly records: number;
  readonly bytes: number;
}

/** A change that is noted durably and is to be made now. */
export interface Noted {
  /** It was made. Resolves once it outlives a power loss for sure. */
  made(): Promise<void>;
  /** It was not made and will not be. Resolves once nothing brings it about any more. */
  dropped(): Promise<void>;
}

export interface LogDeps {
  readonly disk: Disk;
  readonly pathOf: (slot: number) => string;
  /** Called when a segment has got its name: undefined where others change this site, too, and must not come upon it. */
  readonly mayUse: (path: string) => Promise<boolean>;
  /** What stands has changed. */
  readonly onStanding: () => void;
  /** Durably. */
  readonly remove: (path: string) => Promise<void>;
  /** A segment of ours was taken away. Makes all durable that was done until now. */
  readonly onLost: () => Promise<void>;
}

interface Waiting {
  readonly prepared: PreparedRecord;
  readonly resolve: (noted: Noted | undefined) => void;
}

/**
 * Notes changes in segments: those that are asked for while a flush is under way share the next one. A segment that is full, or some seconds old, is
 * retired: one flush of the file system makes durable all that its records speak of, then it is marked as closed and used again. Segments are
 * retired in order, so that no older record ever counts without the newer ones.
 */
export class IntakeLog {
  readonly #deps: LogDeps;
  readonly #bounds: IntakeBounds;
  readonly #waiting: Waiting[] = [];
  #running = false;
  #current: Segment | undefined;
  readonly #free: Segment[] = [];
  readonly #open = new Set<Segment>();
  #slots = 0;
  #nextSequence = 1;
  /** By key, the last segment that has a record of it. */
  readonly #live = new Map<string, Segment>();
  #retiring: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(deps: LogDeps, bounds: IntakeBounds) {
    this.#deps = deps;
    this.#bounds = bounds;
  }

  /** It takes no more records: others have come, or the disk fails. What stands in it may still have to be retired. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get standing(): Standing {
    let records = 0;
    let bytes = 0;
    for (const segment of this.#open) {
      records += segment.records;
      bytes += segment.bytes;
    }
    return { records, bytes };
  }

  isLive(key: string): boolean {
    return this.#live.has(key);
  }

  /** Undefined: it cannot be noted; the change has to be made durable by itself, and then `forget` to be called. */
  async append(record: IntakeRecord): Promise<Noted | undefined> {
    const prepared = prepareRecord(record);
    if (this.#isOver || prepared.sizeBytes > this.#bounds.segmentBytes - BLOCK_BYTES) return undefined;
    return await new Promise((resolve) => {
      this.#waiting.push({ prepared, resolve });
      if (!this.#running) void this.#run();
    });
  }

  /** What lies under the key is durable by itself: no record speaks of it any more once this resolves. */
  async forget(key: string): Promise<void> {
    if (!this.#live.has(key)) return;
    const noted = await this.append({ kind: "forget", key });
    if (noted === undefined) await this.retireAll();
    else await noted.made();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0) await this.#writeSome();
    } finally {
      this.#running = false;
    }
  }

  async #writeSome(): Promise<void> {
    const segment = await this.#segmentFor(this.#waiting[0] as Waiting).catch(() => undefined);
    if (segment === undefined) {
      for (const { resolve } of this.#waiting.splice(0)) resolve(undefined);
      return;
    }
    const batch: Waiting[] = [];
    let batchBytes = 0;
    for (const each of this.#waiting) {
      const { sizeBytes } = each.prepared;
      if (batch.length > 0 && (batchBytes + sizeBytes > BATCH_BYTES || !this.#fits(segment, batchBytes + sizeBytes)))
        break;
      if (segment.records + batch.length === this.#bounds.segmentRecords) break;
      batch.push(each);
      batchBytes += sizeBytes;
    }
    this.#waiting.splice(0, batch.length);
    const first = segment.nextSequence;
    for (const { prepared } of batch) {
      const { record } = prepared;
      if (record.kind !== "cancel") {
        segment.keys.add(record.key);
        this.#live.set(record.key, segment);
      }
      segment.enter();
      segment.records += 1;
      segment.bytes += prepared.sizeBytes;
    }
    segment.leave();
    this.#deps.onStanding();
    this.#nextSequence = first + batch.length;
    if (!(await this.#write(segment, batch))) {
      for (let left = batch.length; left > 0; left--) segment.leave();
      // Some of it may lie there all the same: it must not count when the caller goes another way.
      this.#current = undefined;
      await this.#retire(segment).catch(() => undefined);
      for (const { resolve } of batch) resolve(undefined);
      return;
    }
    batch.forEach(({ resolve }, index) => resolve(this.#noted(segment, first + index)));
  }

  /**
   * False also when the segment was taken away meanwhile: who takes it later flushes the batch's files, which are complete, so that none of them gets
   * its place torn.
   */
  async #write(segment: Segment, batch: readonly Waiting[]): Promise<boolean> {
    try {
      await segment.write(batch.map(({ prepared }) => prepared));
    } catch {
      return false;
    }
    if (await segment.isThere(this.#deps.disk)) return true;
    this.#isOver = true;
    return false;
  }

  #fits(segment: Segment, sizeBytes: number): boolean {
    return segment.end + sizeBytes <= this.#bounds.segmentBytes;
  }

  #noted(segment: Segment, sequence: number): Noted {
    return {
      made: async () => {
        // Only now: who takes the segment away afterwards flushes what was done here.
        const isThere = await segment.isThere(this.#deps.disk);
        segment.leave();
        if (isThere) return;
        this.#isOver = true;
        await this.#deps.onLost();
      },
      dropped: async () => {
        segment.leave();
        const noted = await this.append({ kind: "cancel", sequence });
        if (noted === undefined) await this.retireAll();
        else await noted.made();
      },
    };
  }

  /** Entered once, so that it is not retired before the batch is in it. */
  async #segmentFor({ prepared }: Waiting): Promise<Segment | undefined> {
    const current = this.#current;
    if (current !== undefined) {
      if (this.#fits(current, prepared.sizeBytes) && current.records < this.#bounds.segmentRecords) {
        current.enter();
        return current;
      }
      this.#current = undefined;
      this.#retire(current).catch(() => undefined);
    }
    if (this.#free.length === 0 && this.#slots === this.#bounds.segments) await this.#retiring;
    if (this.#isOver) return undefined;
    const next = this.#free.pop() ?? (await this.#openSlot());
    if (next === undefined) {
      this.#isOver = true;
      return undefined;
    }
    next.begin(this.#nextSequence);
    next.enter();
    this.#current = next;
    return next;
  }

  async #openSlot(): Promise<Segment | undefined> {
    const { disk, pathOf, mayUse } = this.#deps;
    const segment = await Segment.open(disk, pathOf(this.#slots));
    this.#slots += 1;
    this.#open.add(segment);
    return (await mayUse(segment.path)) ? segment : undefined;
  }

  #retire(segment: Segment): Promise<void> {
    const done = this.#retireAfter(this.#retiring, segment);
    // Whoever waits for it hears of its failure, and so do those behind it.
    done.catch(() => undefined);
    this.#retiring = done;
    return done;
  }

  async #retireAfter(before: Promise<void>, segment: Segment): Promise<void> {
    await before;
    await segment.settled();
    try {
      if (segment.records > 0) await segment.syncFileSystem();
    } catch (error) {
      this.#isOver = true;
      await segment.mark("doubted").catch(() => undefined);
      throw error;
    }
    await segment.mark("closed").catch(async () => {
      // What cannot be written over may still be taken away.
      this.#isOver = true;
      await this.#deps.remove(segment.path);
    });
    for (const key of segment.keys) if (this.#live.get(key) === segment) this.#live.delete(key);
    segment.keys.clear();
    segment.records = 0;
    segment.bytes = 0;
    this.#deps.onStanding();
    this.#free.push(segment);
  }

  /** Resolves once nothing stands in the log of what stood there. */
  async retireAll(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await (current === undefined ? this.#retiring : this.#retire(current));
  }

  /** Gives back what is open, whatever stands there: `retireAll` comes before. Resolves with the paths of the segments. */
  async close(): Promise<string[]> {
    this.#isOver = true;
    await this.#retiring.catch(() => undefined);
    const paths = [...this.#open].map(({ path }) => path);
    for (const segment of this.#open) await segment.close().catch(() => undefined);
    this.#open.clear();
    this.#live.clear();
    return paths;
  }
}
