import type { Consistency } from "../core/consistency.ts";
import { GfsError } from "../core/errors.ts";
import type { Inode } from "../core/ids.ts";
import type { Key, Kv, Program, TransactOptions, Transaction, WatchEvent } from "../kv/index.ts";
import { attributesIn, isTouching, type Touch, touchOf } from "../namespace/index.ts";
import { coveringInodes } from "./coverage.ts";
import { writeLeaseKey } from "./rows.ts";
import type { Sessions } from "./sessions.ts";

export interface CoherentOptions {
  /** What is promised of what is touched; of several promises the strictest is kept. Absent: `close-to-open` of everything. */
  readonly modeOf?: (touches: readonly Touch[]) => Promise<Consistency>;
  /** Something may be `strict`: then each change is rehearsed, to know what it will touch. */
  readonly isStrictPossible?: boolean;
}

/**
 * The catalog for those who change the tree: a change is answered when every session that had read what it touches knows of it, or has run out of time; what is
 * `strict` is let go of by all before it is changed. What a transaction touches is seen from what it writes, so that no way to change the tree is forgotten.
 */
export function coherentKv(kv: Kv, sessions: Sessions, options: CoherentOptions = {}): Kv {
  const modeOf = async (touches: readonly Touch[]): Promise<Consistency> =>
    options.modeOf === undefined ? "close-to-open" : await options.modeOf(touches);
  return {
    ...kv,
    async transact(program, given = {}) {
      if (options.isStrictPossible === true) {
        const touches = await rehearse(kv, program);
        if (touches.length > 0 && (await modeOf(touches)) === "strict")
          return await strictly({ kv, sessions, touches }, program, given);
      }
      const { result, revision, staged } = await transactObserved(kv, program, given);
      if (staged.length === 0 || sessions.isIdle) return result;
      const touches = touchesIn(staged);
      if ((await modeOf(touches)) !== "eventual") await sessions.settled({ revision, touches });
      return result;
    },
  };
}

type Work<T> = (tx: Transaction) => Program<T>;

interface Observed<T> {
  readonly result: T;
  readonly revision: number;
  readonly staged: readonly WatchEvent[];
}

async function transactObserved<T>(kv: Kv, program: Work<T>, options: TransactOptions): Promise<Observed<T>> {
  let staged: WatchEvent[] = [];
  let revision = 0;
  const result = await kv.transact(
    (tx) => {
      // It may run again.
      staged = [];
      return program(observed(tx, staged));
    },
    {
      ...options,
      committed(at) {
        revision = at;
        options.committed?.(at);
      },
    },
  );
  return { result, revision, staged };
}

function touchesIn(staged: readonly WatchEvent[]): Touch[] {
  return staged.flatMap((event) => touchOf(event) ?? []);
}

/** What a program has read and written, to tell what it makes anew: an inode whose attributes it writes without having read them. */
class Trail {
  readonly staged: WatchEvent[] = [];
  readonly #read = new Set<string>();
  readonly #made = new Set<Inode>();

  follow(tx: Transaction): Transaction {
    const read = this.#read;
    const staged = observed(tx, this.staged);
    return {
      ...staged,
      *get(key) {
        const value = yield* tx.get(key);
        if (value !== undefined) read.add(nameOf(key));
        return value;
      },
      *getMany(keys) {
        const values = yield* tx.getMany(keys);
        for (const [index, key] of keys.entries()) if (values[index] !== undefined) read.add(nameOf(key));
        return values;
      },
      put: (key, value, options) => {
        const made = read.has(nameOf(key)) ? undefined : attributesIn(key);
        if (made !== undefined) this.#made.add(made);
        staged.put(key, value, options);
      },
    };
  }

  /** All that somebody can have read before: of what is made just now nobody has. */
  get touches(): Touch[] {
    return touchesIn(this.staged).filter((touch) => this.#covering(touch).length > 0);
  }

  get inodes(): Inode[] {
    return touchesIn(this.staged).flatMap((touch) => this.#covering(touch));
  }

  #covering(touch: Touch): Inode[] {
    return coveringInodes(touch).filter((inode) => !this.#made.has(inode));
  }
}

function nameOf(key: Key): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

class Rehearsed extends Error {}

/** What the program would touch now. Nothing is committed. */
async function rehearse<T>(kv: Kv, program: Work<T>): Promise<readonly Touch[]> {
  let trail = new Trail();
  try {
    await kv.transact(function* (tx): Program<void> {
      trail = new Trail();
      yield* program(trail.follow(tx));
      throw new Rehearsed();
    });
  } catch (error) {
    // What goes wrong goes wrong again, and is told then.
    if (!(error instanceof Rehearsed)) return [];
  }
  return trail.touches;
}

class OtherTouches extends Error {
  readonly touches: readonly Touch[];

  constructor(touches: readonly Touch[]) {
    super("The change touches more than was withheld.");
    this.touches = touches;
  }
}

interface Strictly {
  readonly kv: Kv;
  readonly sessions: Sessions;
  readonly touches: readonly Touch[];
}

/** Nothing of it is trusted by anybody from before the change to behind it. What it touches may have become another meanwhile: then that is withheld, too. */
async function strictly<T>(
  { kv, sessions, touches }: Strictly,
  program: Work<T>,
  options: TransactOptions,
): Promise<T> {
  const withheld = new Set(touches.flatMap(coveringInodes));
  const withholding = await sessions.withhold(touches);
  let more: readonly Touch[];
  try {
    const { result, revision } = await transactObserved(
      kv,
      function* (tx): Program<T> {
        const trail = new Trail();
        withholding.fence(tx);
        const done = yield* program(trail.follow(tx));
        if (!trail.inodes.every((inode) => withheld.has(inode))) throw new OtherTouches(trail.touches);
        return done;
      },
      options,
    );
    if (revision > 0) await sessions.settled({ revision, touches });
    return result;
  } catch (error) {
    if (!(error instanceof OtherTouches)) throw error;
    more = error.touches;
  } finally {
    await withholding.end();
  }
  return await strictly({ kv, sessions, touches: [...touches, ...more] }, program, options);
}

function observed(tx: Transaction, staged: WatchEvent[]): Transaction {
  return {
    ...tx,
    put(key, value, options) {
      if (isTouching(key)) staged.push({ key, value });
      tx.put(key, value, options);
    },
    delete(key) {
      if (isTouching(key)) staged.push({ key, value: undefined });
      tx.delete(key);
    },
  };
}

/** For a commit that is made under a write lease: `StaleEpoch` when that is over. */
export function* requireWriteLease(
  tx: Transaction,
  { inode, epoch }: { readonly inode: Inode; readonly epoch: number },
): Program<void> {
  if ((yield* tx.get(writeLeaseKey(inode, epoch))) !== undefined) return;
  throw new GfsError("StaleEpoch", "The right to write to the file was taken back; open it again.", {
    op: "sessions.write",
    context: { inode },
  });
}
