import { createHash } from "node:crypto";
import { backgroundCtx, type Ctx } from "../../core/context.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore, TRANSFERS } from "../layers/delegate.ts";
import type { ObjectBody, ObjectInfo, Store } from "../store.ts";

/** One use of the store, by the port's name of the operation; `write`, `seal`, `commit` and `abort` are those of a staged write. */
export interface StoreCall {
  readonly operation: string;
  readonly key: string | undefined;
  readonly ctx: Ctx | undefined;
  readonly partNumber?: number;
}

/** What a test wants to happen around the real store. Throwing makes the call fail; a promise holds it up. */
export interface Script {
  before?: (call: StoreCall) => void | Promise<void>;
  /** The effect is there already: throwing here loses the answer. */
  after?: (call: StoreCall) => void | Promise<void>;
  /** In place of the body that the store gave. */
  body?: (body: ObjectBody) => ObjectBody;
}

export interface ScriptedStore extends Store {
  script: Script;
  readonly calls: StoreCall[];
  count(operation: string): number;
}

/** A real store with a test's script around each of its calls. */
export function scriptedStore(inner: Store): ScriptedStore {
  const calls: StoreCall[] = [];
  const around = async <T>(call: StoreCall, work: () => Promise<T>): Promise<T> => {
    calls.push(call);
    await scripted.script.before?.(call);
    const result = await work();
    await scripted.script.after?.(call);
    return result;
  };
  const keyOf = (subject: unknown): string | undefined =>
    typeof subject === "string" ? subject : (subject as { readonly key?: string } | undefined)?.key;
  const scripted: ScriptedStore = {
    ...delegateStore(inner, {
      ...aroundCalls(inner, [...CALLS, ...TRANSFERS], (operation, args, call) => {
        const [ctx, subject, third] = args;
        const part = operation === "uploadPart" ? { partNumber: third as number } : {};
        return around({ operation, key: keyOf(subject), ctx: ctx as Ctx, ...part }, () => call(args));
      }),
      check: (ctx) => around({ operation: "check", key: undefined, ctx }, () => inner.check(ctx)),
      async get(ctx, key, options) {
        const body = await around({ operation: "get", key, ctx }, () => inner.get(ctx, key, options));
        return scripted.script.body?.(body) ?? body;
      },
      async stage(ctx, key, options) {
        const staged = await around({ operation: "stage", key, ctx }, () => inner.stage(ctx, key, options));
        return delegateStaged(staged, {
          write: (chunk) => around({ operation: "write", key, ctx }, () => staged.write(chunk)),
          seal: (final) => around({ operation: "seal", key, ctx }, () => staged.seal(final)),
          commit: (commitCtx, conditions) =>
            around({ operation: "commit", key, ctx: commitCtx }, () => staged.commit(commitCtx, conditions)),
          abort: () => around({ operation: "abort", key, ctx }, () => staged.abort()),
        });
      },
    }),
    script: {},
    calls,
    count: (operation) => calls.filter((call) => call.operation === operation).length,
  };
  return scripted;
}

const ctx = backgroundCtx({ requestId: "test" });

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** With its checksum beside it, as GlobalFS writes. */
export async function putBytes(
  store: Store,
  key: string,
  body: Uint8Array | string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<ObjectInfo> {
  const bytes = Buffer.from(body as Uint8Array);
  const staged = await store.stage(ctx, key, { metadata });
  await staged.write(bytes);
  await staged.seal({ sha256: sha256Of(bytes) });
  return await staged.commit(ctx);
}

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Undefined where there is no object. */
export async function bytesAt(store: Store, key: string): Promise<Buffer | undefined> {
  const { objects } = await store.list(ctx, { prefix: key, limit: 1 });
  return objects[0]?.key === key ? await bytesOf((await store.get(ctx, key)).stream) : undefined;
}
