import { TokenBucket } from "../../core/async/token-bucket.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { StoreLayer } from "../store.ts";
import { delegateStaged, delegateStore } from "./delegate.ts";

/** Holds a site's traffic, each way by itself, to what its line takes. */
export function bandwidthLayer(bytesPerSecond: number, clock: Clock): StoreLayer {
  const down = new TokenBucket(bytesPerSecond, clock);
  const up = new TokenBucket(bytesPerSecond, clock);
  return (inner) =>
    delegateStore(inner, {
      async get(ctx, key, options) {
        const body = await inner.get(ctx, key, options);
        const paced = async function* (): AsyncGenerator<Uint8Array> {
          for await (const chunk of body.stream) {
            await pace(down, chunk.byteLength, ctx);
            yield chunk;
          }
        };
        return { ...body, stream: paced() };
      },
      async stage(ctx, key, options) {
        const staged = await inner.stage(ctx, key, options);
        return delegateStaged(staged, {
          async write(chunk) {
            await pace(up, chunk.byteLength, ctx);
            await staged.write(chunk);
          },
        });
      },
      uploadPart: (ctx, upload, partNumber, body) =>
        inner.uploadPart(ctx, upload, partNumber, {
          sizeBytes: body.sizeBytes,
          async *open() {
            for await (const chunk of body.open()) {
              await pace(up, chunk.byteLength, ctx);
              yield chunk;
            }
          },
        }),
    });
}

/** Only being canceled ends the wait early. */
async function pace(bucket: TokenBucket, sizeBytes: number, ctx: Ctx): Promise<void> {
  try {
    await bucket.take(sizeBytes, ctx.signal);
  } catch (error) {
    throw new GfsError("Canceled", "The operation was canceled.", { op: "store.bandwidth", cause: error });
  }
}
