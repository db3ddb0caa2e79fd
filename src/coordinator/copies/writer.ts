import { GfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath, VersionId } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Random } from "../../core/ports/random.ts";
import type { Kv, KvLease, Program, Reader, Transaction } from "../../kv/index.ts";
import {
  dropWriter,
  enterWriter,
  findTombstone,
  findUpload,
  isWriterAlive,
  NO_WRITER,
  TAG_LENGTH,
  tagOf,
  withTag,
} from "../../namespace/index.ts";

/**
 * This process as one that puts objects at sites before the catalog knows them (`namespace/writers.ts`): its tag, which its versions carry, and the lease that
 * the tag lives by. A process whose lease ended is a new writer, with a new tag.
 */
export interface Writer {
  /** Who completes an upload says so in its row. */
  readonly tag: string;
  /** An id of a version of this writer. */
  stamp(id: string): string;
  /** While `work` runs the version's objects at the sites are on their way into the catalog. */
  landing<T>(versionId: VersionId, work: () => Promise<T>): Promise<T>;
  /** Whether the writer of an object that has no owner may yet make a version of it. Nobody touches it until then, nor takes it in. */
  isInFlight(tx: Reader, object: OwnObject): Program<boolean>;
  /** The transaction is committed only while this writer lives; throws when the version is one of an earlier life. */
  fence(tx: Transaction, versionId: VersionId): void;
  /** Something lies at a site that no row tells of: what this process has landed is looked for after its end. */
  noteLeftBehind(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** An object that says which version it is. */
export interface OwnObject {
  readonly key: string;
  readonly versionId: string;
}

export interface WriterDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly identity: string;
  readonly leaseMs: number;
}

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

interface Life {
  readonly tag: string;
  readonly lease: KvLease;
}

export function createWriter(deps: WriterDeps): Writer {
  const { kv, clock, random, log, identity, leaseMs } = deps;
  const landing = new Set<VersionId>();
  const stopping = new AbortController();
  let life: Life | undefined;
  let loop: Promise<void> | undefined;
  let leftBehind = false;

  const enter = async (): Promise<void> => {
    const lease = await kv.lease(leaseMs);
    try {
      for (;;) {
        const tag = drawTag(random);
        const nowMs = clock.nowMs();
        if (!(await kv.transact((tx) => enterWriter(tx, { tag, lease: lease.id, identity, nowMs })))) continue;
        life = { tag, lease };
        return;
      }
    } catch (error) {
      await lease.release().catch(() => undefined);
      throw error;
    }
  };

  const turn = async (): Promise<void> => {
    if (life?.lease.lost.aborted !== false) {
      log.warn("writer_renewed", { identity, before: life?.tag });
      await enter();
    } else await life.lease.keepAlive();
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await clock.sleep(leaseMs / 3, stopping.signal);
        await turn();
      } catch (error) {
        if (!stopping.signal.aborted) log.warn("writer_turn_failed", { error: toGfsError(error).message });
      }
    }
  };

  return {
    get tag() {
      return life?.tag ?? NO_WRITER;
    },
    stamp: (id) => withTag(id, life?.tag ?? NO_WRITER),
    async landing(versionId, work) {
      landing.add(versionId);
      try {
        return await work();
      } finally {
        landing.delete(versionId);
      }
    },
    *isInFlight(tx, { key, versionId }) {
      if (landing.has(versionId as VersionId)) return true;
      const tag = tagOf(versionId);
      // One that the catalog has known is on its way out.
      if ((yield* findTombstone(tx, key as FilePath))?.versions.includes(versionId) === true) return false;
      const by = tag === NO_WRITER ? (yield* findUpload(tx, key as FilePath, versionId))?.completing : tag;
      return by !== undefined && by !== life?.tag && (yield* isWriterAlive(tx, by));
    },
    fence(tx, versionId) {
      const tag = tagOf(versionId);
      if (life === undefined || (tag !== NO_WRITER && tag !== life.tag)) {
        throw new GfsError(
          "Unavailable",
          "The catalog did not hear of this process for too long; send the write again.",
          {
            op: "coordinator.write",
          },
        );
      }
      tx.requireLease(life.lease.id);
    },
    noteLeftBehind() {
      leftBehind = true;
    },
    async start() {
      await enter();
      loop = run();
    },
    async stop() {
      stopping.abort();
      await loop;
      const ended = life;
      if (ended === undefined) return;
      const isClean = !leftBehind && landing.size === 0 && !ended.lease.lost.aborted;
      if (isClean) {
        await kv.transact(function* (tx): Program<void> {
          dropWriter(tx, ended.tag);
        });
      }
      life = undefined;
      await ended.lease.release();
    },
  };
}

function drawTag(random: Random): string {
  let tag = "";
  for (const byte of random.bytes(TAG_LENGTH)) tag += DIGITS[byte % DIGITS.length] as string;
  return tag;
}
