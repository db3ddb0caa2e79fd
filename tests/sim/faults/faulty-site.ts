import type { Clock } from "../../../src/core/ports/clock.ts";
import { type ErrorCode, GfsError } from "../../../src/core/errors.ts";
import { chaosLayer, type ObjectBody, type Store, type StoreLayer } from "../../../src/stores/index.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore, TRANSFERS } from "../../../src/stores/layers/delegate.ts";

/** What can be wrong with a site for a while. */
export type Fault = "none" | "down" | "slow" | "full" | "read-only" | "answers 500" | "drops midway" | "other bytes";

export const FAULTS: readonly Fault[] = [
  "down",
  "slow",
  "full",
  "read-only",
  "answers 500",
  "drops midway",
  "other bytes",
];

const SLOW_MS = 3_600_000;
const DROPS_AFTER_BYTES = 1_000;

const REFUSAL: Partial<Record<Fault, ErrorCode>> = { down: "Unavailable", "answers 500": "Internal" };
const WRITE_REFUSAL: Partial<Record<Fault, ErrorCode>> = { ...REFUSAL, full: "NoSpace", "read-only": "ReadOnly" };
/** A full site still deletes. */
const ALWAYS_WRITES: ReadonlySet<string> = new Set(["createMultipart", "uploadPart", "completeMultipart", "copy"]);
const DELETES: ReadonlySet<string> = new Set(["delete", "deleteMany"]);

/** Sits beside the driver; `current` says what is wrong now. */
export function faultLayer(clock: Clock, current: () => Fault): StoreLayer {
  const refuse = async (codes: Partial<Record<Fault, ErrorCode>>): Promise<void> => {
    const fault = current();
    if (fault === "slow") await clock.sleep(SLOW_MS);
    const code = codes[fault];
    if (code !== undefined) throw new GfsError(code, `The site is ${fault}.`);
  };
  const refusalOf = (operation: string): Partial<Record<Fault, ErrorCode>> => {
    if (ALWAYS_WRITES.has(operation)) return WRITE_REFUSAL;
    return DELETES.has(operation) ? { ...REFUSAL, "read-only": "ReadOnly" } : REFUSAL;
  };
  return (inner) => {
    const corrupting = chaosLayer({
      random: { fraction: () => 0, bytes: (sizeBytes) => new Uint8Array(sizeBytes) },
      corruptRead: 1,
    })(inner);
    return delegateStore(inner, {
      ...aroundCalls(inner, [...CALLS, ...TRANSFERS], async (operation, args, call) => {
        await refuse(refusalOf(operation));
        return await call(args);
      }),
      async get(ctx, key, options) {
        await refuse(REFUSAL);
        if (current() === "other bytes") return await corrupting.get(ctx, key, options);
        const body = await inner.get(ctx, key, options);
        return current() === "drops midway" ? { ...body, stream: dropping(body) } : body;
      },
      async stage(ctx, key, options) {
        await refuse({ ...REFUSAL, "read-only": "ReadOnly" });
        const staged = await inner.stage(ctx, key, options);
        let writtenBytes = 0;
        return delegateStaged(staged, {
          async write(chunk) {
            await refuse(WRITE_REFUSAL);
            writtenBytes += chunk.byteLength;
            if (current() === "drops midway" && writtenBytes > DROPS_AFTER_BYTES) throw dropped();
            await staged.write(chunk);
          },
          async seal(final) {
            await refuse(WRITE_REFUSAL);
            await staged.seal(final);
          },
          async commit(commitCtx, conditions) {
            await refuse(WRITE_REFUSAL);
            return await staged.commit(commitCtx, conditions);
          },
        });
      },
      async check(ctx) {
        await refuse({ ...REFUSAL, full: "NoSpace" });
        await inner.check(ctx);
      },
    }) satisfies Store;
  };
}

function dropped(): GfsError {
  return new GfsError("Unavailable", "The connection broke in the middle.");
}

async function* dropping(body: ObjectBody): AsyncGenerator<Uint8Array> {
  let left = DROPS_AFTER_BYTES;
  for await (const chunk of body.stream) {
    if (chunk.byteLength > left) {
      yield chunk.subarray(0, left);
      throw dropped();
    }
    left -= chunk.byteLength;
    yield chunk;
  }
}
