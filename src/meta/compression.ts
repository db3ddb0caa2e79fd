import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { unreadable } from "./dump-format.ts";

const GZIP = [0x1f, 0x8b] as const;

/** Takes the compression off, where there is one. */
export async function* uncompressed(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = bytes[Symbol.asyncIterator]();
  let first = Buffer.alloc(0);
  while (first.byteLength < GZIP.length) {
    const next = await pieces.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  const whole = joined(first, pieces);
  if (!GZIP.every((byte, index) => first[index] === byte)) {
    yield* whole;
    return;
  }
  const source = Readable.from(whole);
  const gunzip = createGunzip();
  source.once("error", (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Uint8Array>;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (typeof code !== "string" || !code.startsWith("Z_")) throw error;
    throw unreadable("Its compression is damaged, or it breaks off.");
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

async function* joined(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (first.byteLength > 0) yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
