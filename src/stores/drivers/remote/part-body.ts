import type { Semaphore } from "../../../core/async/semaphore.ts";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { PartBody, PartInfo } from "../../store.ts";
import { type RepeatDeps, repeatSafely } from "./repeat.ts";

/** The body of a part on its way to a site: in memory where there is room for it, else as a stream. */

/** Parts up to this size are held in memory, where they can be sent again and be signed, as far as the budget of all writes reaches. */
const BUFFERED_PART_BYTES = 8 * 1024 * 1024;

export interface PartWays {
  sendBytes(bytes: Uint8Array): Promise<PartInfo>;
  sendStream(): Promise<PartInfo>;
}

export async function sendPartBody(
  ctx: Ctx,
  body: PartBody,
  limits: RepeatDeps & { readonly budget: Semaphore },
  ways: PartWays,
): Promise<PartInfo> {
  const release =
    body.sizeBytes === 0
      ? () => undefined
      : body.sizeBytes <= BUFFERED_PART_BYTES
        ? limits.budget.tryAcquire(body.sizeBytes)
        : undefined;
  if (release === undefined) return await repeatStreamed(ctx, limits, () => ways.sendStream());
  try {
    const bytes = await collectPart(body);
    return await repeatSafely(ctx, limits, () => ways.sendBytes(bytes));
  } finally {
    release();
  }
}

/** A body that cannot be read once more makes no second attempt; then the caller hears what the first one failed with. */
async function repeatStreamed<T>(ctx: Ctx, limits: RepeatDeps, work: () => Promise<T>): Promise<T> {
  let first: unknown;
  try {
    return await repeatSafely(ctx, limits, async () => {
      try {
        return await work();
      } catch (error) {
        first ??= error;
        throw error;
      }
    });
  } catch (error) {
    throw isGfsError(error, "IncompleteBody") ? first : error;
  }
}

async function collectPart(body: PartBody): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(body.sizeBytes);
  let filled = 0;
  for await (const chunk of exactly(body)) {
    bytes.set(chunk, filled);
    filled += chunk.byteLength;
  }
  return bytes;
}

/** Ends with an error when there are more or fewer bytes than announced. Opens the body at once, so that one that cannot be opened throws here. */
export function exactly(body: PartBody): AsyncGenerator<Uint8Array> {
  return counted(body, body.open());
}

async function* counted(body: PartBody, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let seenBytes = 0;
  for await (const chunk of source) {
    seenBytes += chunk.byteLength;
    if (seenBytes > body.sizeBytes) break;
    yield chunk;
  }
  if (seenBytes === body.sizeBytes) return;
  throw new GfsError("IncompleteBody", `The part was announced with ${body.sizeBytes} bytes and had another length.`, {
    op: "store.uploadPart",
  });
}
