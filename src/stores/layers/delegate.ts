import type { StagedWrite, Store } from "../store.ts";

/** A store that hands everything on: a layer says only what it does differently. */
export function delegateStore(inner: Store, overrides: Partial<Store>): Store {
  const space = inner.space?.bind(inner);
  return {
    ...(space === undefined ? {} : { space }),
    driver: inner.driver,
    capabilities: inner.capabilities,
    head: (ctx, key) => inner.head(ctx, key),
    get: (ctx, key, options) => inner.get(ctx, key, options),
    stage: (ctx, key, options) => inner.stage(ctx, key, options),
    createMultipart: (ctx, key, options) => inner.createMultipart(ctx, key, options),
    uploadPart: (ctx, upload, partNumber, body) => inner.uploadPart(ctx, upload, partNumber, body),
    listParts: (ctx, upload) => inner.listParts(ctx, upload),
    completeMultipart: (ctx, upload, parts, conditions) => inner.completeMultipart(ctx, upload, parts, conditions),
    abortMultipart: (ctx, upload) => inner.abortMultipart(ctx, upload),
    copy: (ctx, from, to, options) => inner.copy(ctx, from, to, options),
    delete: (ctx, key, options) => inner.delete(ctx, key, options),
    deleteMany: (ctx, keys) => inner.deleteMany(ctx, keys),
    flush: (ctx, key) => inner.flush(ctx, key),
    list: (ctx, query) => inner.list(ctx, query),
    presign: (ctx, key, query) => inner.presign(ctx, key, query),
    check: (ctx) => inner.check(ctx),
    sweep: (ctx, olderThanMs, isInUse) => inner.sweep(ctx, olderThanMs, isInUse),
    close: () => inner.close(),
    ...overrides,
  };
}

/** The operations that are one call and one answer, as a layer that treats them alike sees them. */
export const CALLS = [
  "head",
  "list",
  "delete",
  "deleteMany",
  "createMultipart",
  "listParts",
  "abortMultipart",
  "presign",
] as const satisfies readonly (keyof Store)[];
/** The same, for work that moves bytes at the site or through us. */
export const TRANSFERS = [
  "uploadPart",
  "completeMultipart",
  "copy",
  "flush",
] as const satisfies readonly (keyof Store)[];

export type CallName = (typeof CALLS)[number] | (typeof TRANSFERS)[number];
export type Around = <T>(
  operation: CallName,
  args: readonly unknown[],
  call: (args: readonly unknown[]) => Promise<T>,
) => Promise<T>;

/** Overrides for the named operations that all go through `around`. */
export function aroundCalls(inner: Store, names: readonly CallName[], around: Around): Partial<Store> {
  return Object.fromEntries(
    names.map((name) => {
      const method = inner[name].bind(inner) as (...args: readonly unknown[]) => Promise<unknown>;
      return [name, (...args: readonly unknown[]) => around(name, args, (given) => method(...given))];
    }),
  );
}

export function delegateStaged(inner: StagedWrite, overrides: Partial<StagedWrite>): StagedWrite {
  return {
    write: (chunk) => inner.write(chunk),
    seal: (final) => inner.seal(final),
    commit: (ctx, conditions) => inner.commit(ctx, conditions),
    abort: () => inner.abort(),
    ...overrides,
  };
}
