import type { JobId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Job, JobProgress } from "./types.ts";

/** How far the jobs of this process are, and how fast. */
export class ProgressBoard {
  readonly #clock: Clock;
  readonly #running = new Map<
    JobId,
    { bytesDone: number; markMs: number; markBytes: number; bytesPerSecond: number }
  >();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(id: JobId): void {
    const nowMs = this.#clock.monotonicMs();
    this.#running.set(id, { bytesDone: 0, markMs: nowMs, markBytes: 0, bytesPerSecond: 0 });
  }

  add(id: JobId, sizeBytes: number): void {
    const entry = this.#running.get(id);
    if (entry === undefined) return;
    entry.bytesDone += sizeBytes;
    const elapsedMs = this.#clock.monotonicMs() - entry.markMs;
    if (elapsedMs < SAMPLE_MS) return;
    const rate = ((entry.bytesDone - entry.markBytes) / elapsedMs) * 1_000;
    entry.bytesPerSecond = entry.bytesPerSecond === 0 ? rate : entry.bytesPerSecond * (1 - WEIGHT) + rate * WEIGHT;
    entry.markMs = this.#clock.monotonicMs();
    entry.markBytes = entry.bytesDone;
  }

  bytesOf(id: JobId): number {
    return this.#running.get(id)?.bytesDone ?? 0;
  }

  end(id: JobId): void {
    this.#running.delete(id);
  }

  describe(job: Job): JobProgress {
    const entry = this.#running.get(job.id);
    if (entry === undefined || job.state !== "waiting") return job;
    const left = Math.max(0, job.sizeBytes - entry.bytesDone);
    return {
      ...job,
      state: "running",
      bytesDone: entry.bytesDone,
      ...(entry.bytesPerSecond > 0
        ? { bytesPerSecond: Math.round(entry.bytesPerSecond), etaSeconds: Math.ceil(left / entry.bytesPerSecond) }
        : {}),
    };
  }
}

const SAMPLE_MS = 250;
const WEIGHT = 0.3;
