import type { Clock } from "../../../src/core/ports/clock.ts";
import { GfsError } from "../../../src/core/errors.ts";
import type { Kv, KvEntry, KvLease, KvSnapshot, Program } from "../../../src/kv/index.ts";
import type { ObjectBody, Store } from "../../../src/stores/index.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore, TRANSFERS } from "../../../src/stores/layers/delegate.ts";

/** The process dies at this step, counted from one: before the step has its effect, or after it and before anybody hears of it. */
export interface Stop {
  readonly step: number;
  readonly moment: "before" | "after";
}

const IS_FULL = process.env["GLOBALFS_REQUIRE_SERVERS"] === "1" || process.env["GLOBALFS_LONG"] === "1";
/**
 * After one step and before the next the same outlasts the process, unless more steps run beside them. So both are tried where everything
 * is, and one of them where somebody waits.
 */
export const MOMENTS: readonly Stop["moment"][] = IS_FULL ? ["before", "after"] : ["after"];

/**
 * One life of a process, seen from the things that outlast it. Each call to a site and each transaction is a step. Once it is dead
 * nothing that it does has an effect any more, and it hears nothing: every call throws, no timer fires.
 */
export class Life {
  readonly #stop: Stop | undefined;
  #counting = false;
  #steps = 0;
  #dead = false;
  #lastStep = "";

  constructor(stop?: Stop) {
    this.#stop = stop;
  }

  get steps(): number {
    return this.#steps;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** What it died of, for the message of a test that fails. */
  get lastStep(): string {
    return this.#lastStep;
  }

  /** What came until now was preparation. */
  startCounting(): void {
    this.#counting = true;
  }

  end(): void {
    this.#dead = true;
  }

  assertAlive(): void {
    if (this.#dead) throw new GfsError("Unavailable", "The process is dead.");
  }

  async step<T>(name: string, effect: () => Promise<T>): Promise<T> {
    this.assertAlive();
    if (this.#counting) {
      this.#steps += 1;
      if (this.#stop?.step === this.#steps) {
        this.#dead = true;
        this.#lastStep = `${this.#stop.moment} ${name}`;
        if (this.#stop.moment === "after") await effect();
      }
    }
    this.assertAlive();
    const result = await effect();
    this.assertAlive();
    return result;
  }
}

export function mortalStore(life: Life, name: string, inner: Store): Store {
  const step = <T>(operation: string, call: () => Promise<T>): Promise<T> => life.step(`${operation} at ${name}`, call);
  return delegateStore(inner, {
    ...aroundCalls(inner, [...CALLS, ...TRANSFERS], (operation, args, call) => step(operation, () => call(args))),
    async get(ctx, key, options) {
      const body = await step("get", () => inner.get(ctx, key, options));
      return { ...body, stream: mortalStream(life, body) };
    },
    async stage(ctx, key, options) {
      const staged = await step("stage", () => inner.stage(ctx, key, options));
      return delegateStaged(staged, {
        write: (chunk) => step("write", () => staged.write(chunk)),
        seal: (final) => step("seal", () => staged.seal(final)),
        commit: (commitCtx, conditions) => step("commit", () => staged.commit(commitCtx, conditions)),
        abort: () => step("abort", () => staged.abort()),
      });
    },
    check: (ctx) => step("check", () => inner.check(ctx)),
    sweep: (ctx, olderThanMs, isInUse) => step("sweep", () => inner.sweep(ctx, olderThanMs, isInUse)),
    close: async () => undefined,
  });
}

async function* mortalStream(life: Life, body: ObjectBody): AsyncGenerator<Uint8Array> {
  for await (const chunk of body.stream) {
    life.assertAlive();
    yield chunk;
  }
}

export interface MortalKv {
  readonly kv: Kv;
  /** As opening the catalog anew does it, after power loss: what was visible only is gone. */
  openAnew(): Promise<void>;
  /** Where the catalog is another process's, which goes on: the leases of the dead one end. */
  forgetLeases(): Promise<void>;
}

export function mortalKv(life: Life, inner: Kv): MortalKv {
  const { viewSync } = inner;
  const leases: KvLease[] = [];
  /** The newest state that is durable, while others can be seen. */
  let durable: KvSnapshot | undefined;
  const makeDurable = async (): Promise<void> => {
    const before = durable;
    durable = undefined;
    await before?.close();
  };
  const transact: Kv["transact"] = async (program, options) => {
    if (options?.durability === "visible") {
      durable ??= await inner.snapshot();
      return await inner.transact(program, options);
    }
    const value = await inner.transact(program, options);
    await makeDurable();
    return value;
  };
  const kv: Kv = {
    engine: inner.engine,
    async view(program) {
      life.assertAlive();
      return await inner.view(program);
    },
    transact: (program, options) => life.step("transaction", () => transact(program, options)),
    flush: () => life.step("flush", makeDurable),
    ...(viewSync === undefined
      ? {}
      : {
          viewSync: (program) => {
            life.assertAlive();
            return viewSync(program);
          },
        }),
    async snapshot() {
      life.assertAlive();
      return await inner.snapshot();
    },
    async revision() {
      life.assertAlive();
      return await inner.revision();
    },
    watch: (range, options) => inner.watch(range, options),
    async lease(ttlMs) {
      life.assertAlive();
      const lease = await inner.lease(ttlMs);
      leases.push(lease);
      return lease;
    },
    async stats() {
      life.assertAlive();
      return await inner.stats();
    },
    close: async () => undefined,
  };
  const forgetLeases = async (): Promise<void> => {
    for (const lease of leases) await lease.release();
  };
  return {
    kv,
    forgetLeases,
    async openAnew() {
      if (durable !== undefined) await bringBack(inner, durable);
      await forgetLeases();
      await makeDurable();
    },
  };
}

/** Everything is as it was then. */
async function bringBack(kv: Kv, then: KvSnapshot): Promise<void> {
  const all = { start: Buffer.alloc(1), end: Buffer.from([0xff]), limit: 10_000 };
  const was = new Map((await then.view((tx) => tx.range(all))).map((row) => [nameOf(row), row]));
  const is = new Map((await kv.view((tx) => tx.range(all))).map((row) => [nameOf(row), row]));
  const changed = [...new Set([...was.keys(), ...is.keys()])].filter((name) => {
    const [before, now] = [was.get(name)?.value, is.get(name)?.value];
    return before === undefined || now === undefined || Buffer.compare(before, now) !== 0;
  });
  while (changed.length > 0) {
    const page = changed.splice(0, 40);
    await kv.transact(function* (tx): Program<void> {
      for (const name of page) {
        const key = Buffer.from(name, "latin1");
        const value = was.get(name)?.value;
        if (value === undefined) tx.delete(key);
        else tx.put(key, value);
      }
    });
  }
}

function nameOf({ key }: KvEntry): string {
  return Buffer.from(key).toString("latin1");
}

export function mortalClock(life: Life, inner: Clock): Clock {
  return {
    nowMs: () => inner.nowMs(),
    monotonicMs: () => inner.monotonicMs(),
    async sleep(durationMs, signal) {
      await inner.sleep(durationMs, signal);
      if (life.isDead) await new Promise<never>(() => undefined);
    },
    timer: (durationMs, callback) =>
      inner.timer(durationMs, () => {
        if (!life.isDead) callback();
      }),
  };
}
