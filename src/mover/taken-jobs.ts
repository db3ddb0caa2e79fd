import { setImmediate as nextTurn } from "node:timers/promises";
import { toGfsError } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Kv } from "../kv/index.ts";
import { dropJobs } from "./jobs.ts";

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
 * Jobs that were done go many in a commit, behind the answers. Nothing is lost when that fails, as a job that finds nothing to do is done. Another
 * process may run a job that is taken here, which costs it a request.
 */
export class TakenJobs {
  readonly #deps: TakenJobsDeps;
  readonly #taken = new Set<JobId>();
  readonly #done: JobId[] = [];
  #dropping: Promise<void> | undefined;

  constructor(deps: TakenJobsDeps) {
    this.#deps = deps;
  }

  take(id: JobId): TakenJob {
    this.#taken.add(id);
    return {
      done: () => {
        this.#done.push(id);
        this.#dropping ??= this.#drop();
      },
      leave: () => {
        this.#taken.delete(id);
        this.#deps.onLeft();
      },
    };
  }

  has(id: JobId): boolean {
    return this.#taken.has(id);
  }

  /** Resolves once all that were done are gone. */
  async end(): Promise<void> {
    await this.#dropping;
  }

  async #drop(): Promise<void> {
    while (this.#done.length > 0) {
      // Those of the same turn of the event loop go along.
      await nextTurn();
      const ids = this.#done.splice(0, JOBS_A_COMMIT);
      let freed = false;
      try {
        if (await this.#deps.kv.transact((tx) => dropJobs(tx, ids), { durability: "visible" })) freed = true;
      } catch (error) {
        this.#deps.log.info("jobs_not_dropped", { jobs: ids.length, error: toGfsError(error).message });
      }
      for (const id of ids) this.#taken.delete(id);
      if (freed) this.#deps.onLeft();
    }
    this.#dropping = undefined;
  }
}
