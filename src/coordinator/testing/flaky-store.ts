import { GfsError } from "../../core/errors.ts";
import type { StagedWrite, Store } from "../../stores/index.ts";

/** A store whose single operations can be made to fail, from outside, while a test runs. */
export interface FlakyStore extends Store {
  /** Operations by the port's name; `commit`, `write` and `seal` are those of a staged write. */
  readonly failing: Set<string>;
  /** The operation has its effect, and then its answer is lost. */
  readonly losingAnswers: Set<string>;
  /** Reads end after so many bytes. */
  truncateAfter: number | undefined;
  /** Reads give another byte at this offset of what they were asked for, and all else right, in pieces of 64 KiB. */
  rottenAt: number | undefined;
  /** Awaited before each commit, so that a test can act at that moment. */
  beforeCommit: (() => Promise<void>) | undefined;
}

export function flakyStore(inner: Store): FlakyStore {
  const failing = new Set<string>();
  const losingAnswers = new Set<string>();
  const run = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    if (failing.has(operation) || failing.has("*"))
      throw new GfsError("Unavailable", `The site is away (${operation}).`);
    const result = await call();
    if (losingAnswers.has(operation)) throw new GfsError("Unavailable", `The answer was lost (${operation}).`);
    return result;
  };
  const flaky: FlakyStore = {
    driver: inner.driver,
    capabilities: inner.capabilities,
    failing,
    losingAnswers,
    truncateAfter: undefined,
    rottenAt: undefined,
    beforeCommit: undefined,
    head: (ctx, key) => run("head", () => inner.head(ctx, key)),
    async get(ctx, key, options) {
      const body = await run("get", () => inner.get(ctx, key, options));
      if (flaky.rottenAt !== undefined) return { ...body, stream: rot(body.stream, flaky.rottenAt) };
      const left = flaky.truncateAfter;
      if (left === undefined) return body;
      return { ...body, stream: cut(body.stream, left) };
    },
    async stage(ctx, key, options): Promise<StagedWrite> {
      const staged = await run("stage", () => inner.stage(ctx, key, options));
      return {
        write: (chunk) => run("write", () => staged.write(chunk)),
        seal: (final) => run("seal", () => staged.seal(final)),
        async commit(commitCtx, conditions) {
          await flaky.beforeCommit?.();
          return await run("commit", () => staged.commit(commitCtx, conditions));
        },
        abort: () => staged.abort(),
      };
    },
    createMultipart: (ctx, key, options) => run("createMultipart", () => inner.createMultipart(ctx, key, options)),
    uploadPart: (ctx, upload, number, body) => run("uploadPart", () => inner.uploadPart(ctx, upload, number, body)),
    listParts: (ctx, upload) => run("listParts", () => inner.listParts(ctx, upload)),
    completeMultipart: (ctx, upload, kit, conditions) =>
      run("completeMultipart", () => inner.completeMultipart(ctx, upload, kit, conditions)),
    abortMultipart: (ctx, upload) => run("abortMultipart", () => inner.abortMultipart(ctx, upload)),
    copy: (ctx, from, to, options) => run("copy", () => inner.copy(ctx, from, to, options)),
    delete: (ctx, key, options) => run("delete", () => inner.delete(ctx, key, options)),
    deleteMany: (ctx, keys) => run("deleteMany", () => inner.deleteMany(ctx, keys)),
    flush: (ctx, key) => run("flush", () => inner.flush(ctx, key)),
    list: (ctx, query) => run("list", () => inner.list(ctx, query)),
    presign: (ctx, key, query) => inner.presign(ctx, key, query),
    check: (ctx) => run("check", () => inner.check(ctx)),
    sweep: (ctx, olderThanMs, isInUse) => inner.sweep(ctx, olderThanMs, isInUse),
    close: () => inner.close(),
  };
  return flaky;
}

async function* cut(stream: AsyncIterable<Uint8Array>, afterBytes: number): AsyncGenerator<Uint8Array> {
  let left = afterBytes;
  for await (const chunk of stream) {
    if (chunk.byteLength > left) {
      if (left > 0) yield chunk.subarray(0, left);
      throw new GfsError("Unavailable", "The connection broke.");
    }
    left -= chunk.byteLength;
    yield chunk;
  }
}

const PIECE_BYTES = 64 * 1024;

async function* rot(stream: AsyncIterable<Uint8Array>, rottenAt: number): AsyncGenerator<Uint8Array> {
  let position = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    const index = rottenAt - position;
    if (index >= 0 && index < bytes.length) bytes[index] = (bytes[index] as number) ^ 1;
    position += bytes.length;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
  }
}
