import { setImmediate as nextTurn } from "node:timers/promises";
import { toGfsError } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Kv } from "../kv/index.ts";
import type { Program, Reader } from "../kv/index.ts";
import { isWriterAlive } from "../namespace/index.ts";
import { dropJobs, leaveJobs } from "./jobs.ts";
import type { Job } from "./types.ts";

const JOBS_A_COMMIT = 30;

/** A job whose work a request does itself, while its caller waits; the row is there in case that the process dies. */
export interface TakenJob {
  /** The work is done: the job leaves no trace, soon. */
  done(): void;
  /** It is left to the mover. */
  leave(): void;
}

export interface TakenJobsDeps {
  readonly kv: Kv;
  readonly log: Logger;
  /** There may be a job to run that was held up. */
  readonly onLeft: () => void;
}

/**
 * Jobs that were done go many in a commit, behind the answers. Nothing is lost when that fails, as a job that finds nothing to do is done. The rows say who has
 * taken them, so that no other process does the same work: what it removes may have come again by then, with the same bytes.
 */
export class TakenJobs {
  readonly #deps: TakenJobsDeps;
  readonly #taken = new Set<JobId>();
  readonly #done: JobId[] = [];
  readonly #left: JobId[] = [];
  /** Their rows say that they are taken, because they could not be written. */
  readonly #leftUnsaid = new Set<JobId>();
  #settling: Promise<void> | undefined;

  constructor(deps: TakenJobsDeps) {
    this.#deps = deps;
  }

  take(id: JobId): TakenJob {
    this.#taken.add(id);
    return {
      done: () => {
        this.#done.push(id);
        this.#settling ??= this.#settle();
      },
      leave: () => {
        this.#left.push(id);
        this.#settling ??= this.#settle();
      },
    };
  }

  /** By a request of this process, or of another that lives. */
  *isTaken(tx: Reader, { id, takenBy }: Pick<Job, "id" | "takenBy">): Program<boolean> {
    if (this.#taken.has(id)) return true;
    if (takenBy === undefined || this.#leftUnsaid.has(id)) return false;
    return yield* isWriterAlive(tx, takenBy);
  }

  /** Resolves once all that were done are gone. */
  async end(): Promise<void> {
    await this.#settling;
  }

  async #settle(): Promise<void> {
    while (this.#done.length + this.#left.length > 0) {
      // Those of the same turn of the event loop go along.
      await nextTurn();
      await this.#drop(this.#done.splice(0, JOBS_A_COMMIT));
      await this.#leave(this.#left.splice(0, JOBS_A_COMMIT));
    }
    this.#settling = undefined;
  }

  async #drop(ids: readonly JobId[]): Promise<void> {
    if (ids.length === 0) return;
    let freed = false;
    try {
      if (await this.#deps.kv.transact((tx) => dropJobs(tx, ids), { durability: "visible" })) freed = true;
    } catch (error) {
      this.#deps.log.info("jobs_not_dropped", { jobs: ids.length, error: toGfsError(error).message });
      for (const id of ids) this.#leftUnsaid.add(id);
    }
    for (const id of ids) this.#taken.delete(id);
    if (freed) this.#deps.onLeft();
  }

  async #leave(ids: readonly JobId[]): Promise<void> {
    if (ids.length === 0) return;
    try {
      await this.#deps.kv.transact((tx) => leaveJobs(tx, ids), { durability: "visible" });
    } catch (error) {
      this.#deps.log.info("jobs_not_left", { jobs: ids.length, error: toGfsError(error).message });
      for (const id of ids) this.#leftUnsaid.add(id);
    }
    for (const id of ids) this.#taken.delete(id);
    this.#deps.onLeft();
  }
}
