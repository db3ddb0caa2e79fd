import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { Random } from "../../core/ports/random.ts";
import type { ObjectBody, StoreLayer } from "../store.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore, TRANSFERS } from "./delegate.ts";

/** Faults with a seed, for tests: errors before and after the effect, streams that break or bring other bytes. Each is a chance from 0 to 1. */
export interface ChaosConfig {
  readonly random: Random;
  /** The call never reached the site. */
  readonly errorBefore?: number;
  /** The site did it, and the answer was lost. */
  readonly errorAfter?: number;
  readonly truncatedRead?: number;
  readonly corruptRead?: number;
  /** Only these operations, by the port's names; `put` is the commit of a staged write. Absent: all. */
  readonly only?: readonly string[];
}

export function chaosLayer(config: ChaosConfig): StoreLayer {
  const { random } = config;
  const strikes = (chance: number | undefined): boolean => chance !== undefined && random.fraction() < chance;
  const around = async <T>(operation: string, call: () => Promise<T>, discard?: (lost: T) => void): Promise<T> => {
    const hit = config.only === undefined || config.only.includes(operation);
    if (hit && strikes(config.errorBefore)) throw fault("before");
    const result = await call();
    if (!hit || !strikes(config.errorAfter)) return result;
    discard?.(result);
    throw fault("after");
  };
  return (inner) =>
    delegateStore(inner, {
      ...aroundCalls(inner, [...CALLS, ...TRANSFERS], (operation, args, call) => around(operation, () => call(args))),
      async get(ctx: Ctx, key, options) {
        const body = await around(
          "get",
          () => inner.get(ctx, key, options),
          (lost) => lost.cancel(),
        );
        if (strikes(config.truncatedRead)) return { ...body, stream: truncated(body, random) };
        if (strikes(config.corruptRead)) return { ...body, stream: corrupted(body) };
        return body;
      },
      async stage(ctx, key, options) {
        const staged = await around(
          "stage",
          () => inner.stage(ctx, key, options),
          (lost) => void lost.abort(),
        );
        return delegateStaged(staged, {
          write: (chunk) => around("write", () => staged.write(chunk)),
          seal: (final) => around("seal", () => staged.seal(final)),
          commit: (commitCtx, conditions) => around("put", () => staged.commit(commitCtx, conditions)),
        });
      },
    });
}

function fault(when: string): GfsError {
  return new GfsError("Unavailable", `Chaos struck ${when} the effect.`, { op: "store.chaos" });
}

async function* truncated(body: ObjectBody, random: Random): AsyncGenerator<Uint8Array> {
  let left = Math.floor(random.fraction() * (body.end - body.start));
  for await (const chunk of body.stream) {
    if (chunk.byteLength > left) {
      if (left > 0) yield chunk.subarray(0, left);
      throw fault("in the middle of");
    }
    left -= chunk.byteLength;
    yield chunk;
  }
}

async function* corrupted(body: ObjectBody): AsyncGenerator<Uint8Array> {
  for await (const chunk of body.stream) {
    const changed = Buffer.from(chunk);
    if (changed.length > 0) changed[0] = (changed[0] as number) ^ 0x5a;
    yield changed;
  }
}
