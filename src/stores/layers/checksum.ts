import { createHash } from "node:crypto";
import { GfsError } from "../../core/errors.ts";
import type { ObjectBody, StoreLayer } from "../store.ts";
import { delegateStore } from "./delegate.ts";

/**
 * Holds what is read against its length, and whole objects against the checksum that the site keeps with them. The last piece is held
 * back until the sum is known: a caller that has seen the end has seen the right bytes.
 */
export function checksumLayer({ maxBytes }: { readonly maxBytes: number }): StoreLayer {
  return (inner) =>
    delegateStore(inner, {
      async get(ctx, key, options) {
        const body = await inner.get(ctx, key, options);
        const whole = body.start === 0 && body.end === body.info.sizeBytes;
        const sha256 =
          whole && options?.checkedByCaller !== true && body.info.sizeBytes <= maxBytes ? body.info.sha256 : undefined;
        return { ...body, stream: checked(body, sha256) };
      },
    });
}

async function* checked(body: ObjectBody, sha256: string | undefined): AsyncGenerator<Uint8Array> {
  const hash = sha256 === undefined ? undefined : createHash("sha256");
  const expected = body.end - body.start;
  let sizeBytes = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of body.stream) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > expected) throw corrupt(body, "more bytes than it should have");
    if (hash === undefined) {
      yield chunk;
      continue;
    }
    if (held !== undefined) yield held;
    hash.update(chunk);
    held = chunk;
  }
  // A stream that ends early is a broken connection: another attempt may bring the rest.
  if (sizeBytes < expected)
    throw new GfsError("Unavailable", `The site ended ${body.info.key} after ${sizeBytes} of ${expected} bytes.`, {
      op: "store.get",
    });
  if (hash !== undefined && hash.digest("hex") !== sha256) throw corrupt(body, "other bytes than its checksum says");
  if (held !== undefined) yield held;
}

function corrupt(body: ObjectBody, what: string): GfsError {
  return new GfsError("DataCorrupt", `The site gave ${body.info.key} ${what}.`, {
    op: "store.get",
    context: { key: body.info.key },
  });
}
