/**
 * What a site really does, found out by doing it. Some stores accept conditions and enforce nothing; a site is asked once,
 * when it is registered, and what it does not keep is then refused instead of pretended.
 */
import type { Ctx } from "../core/context.ts";
import { backgroundCtx } from "../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";
import { type Random, systemRandom } from "../core/ports/random.ts";
import { delegateStaged, delegateStore } from "./layers/delegate.ts";
import type { Store, StoreCapabilities, WriteConditions } from "./store.ts";

export interface ProbeReport {
  /** False for a site that lets itself be read only; then nothing else could be tried. */
  readonly writable: boolean;
  readonly conditionalReads: boolean;
  /** For objects written at once. */
  readonly conditionalWrites: boolean;
  /** For objects written in parts, and copies. */
  readonly conditionalCompletes: boolean;
  readonly conditionalDeletes: boolean;
  readonly ranges: boolean;
  readonly userMetadata: boolean;
  readonly multipart: boolean;
  /** A sentence for each thing that the operator should know. */
  readonly findings: readonly string[];
}

export interface Probed {
  /** With the capabilities that were found, refusing what the site would only pretend. */
  readonly store: Store;
  readonly report: ProbeReport;
}

type Facts = { -readonly [Name in keyof ProbeReport]: ProbeReport[Name] } & { findings: string[] };

const METADATA = { probe: "grün" };
const NO_SUCH_ETAG = "00000000000000000000000000000000";

/**
 * Writes a small object below `.globalfs/` and removes it again. Rejects when the site can not be reached, or does not
 * give back what was written: such a site must not be used.
 */
export async function probeStore(ctx: Ctx, store: Store, random: Random = systemRandom): Promise<Probed> {
  await store.check(ctx);
  const key = `.globalfs/probe-${Buffer.from(random.bytes(8)).toString("hex")}`;
  const body = Buffer.from(`A probe of GlobalFS, ${Buffer.from(random.bytes(16)).toString("hex")}`);
  const facts: Facts = {
    writable: true,
    conditionalReads: false,
    conditionalWrites: false,
    conditionalCompletes: false,
    conditionalDeletes: false,
    ranges: false,
    userMetadata: false,
    multipart: false,
    findings: [],
  };
  try {
    await write(store, ctx, key, body);
  } catch (error) {
    const failure = toGfsError(error, "store.probe");
    if (!isGfsError(failure, "PermissionDenied", "ReadOnly", "MethodNotAllowed")) throw failure;
    facts.writable = false;
    facts.findings.push("The site can only be read: writing was refused.");
    return { store: restricted(store, facts), report: facts };
  }
  try {
    await probeReads(store, ctx, { key, body, facts });
    await probeWrites(store, ctx, { key, body, facts });
    await probeParts(store, ctx, { key, body, facts });
    await probeDeletes(store, ctx, { key, facts });
  } finally {
    // Also when the caller gave up meanwhile.
    await store.delete(backgroundCtx({ requestId: ctx.requestId, log: ctx.log }), key);
  }
  return { store: restricted(store, facts), report: facts };
}

interface Probe {
  readonly key: string;
  readonly body: Buffer;
  readonly facts: Facts;
}

async function probeReads(store: Store, ctx: Ctx, { key, body, facts }: Probe): Promise<void> {
  const back = await read(store, ctx, key);
  if (!back.equals(body)) {
    throw new GfsError("DataCorrupt", "The site does not give back what was written to it; do not use it.", {
      op: "store.probe",
    });
  }
  const listed = await store.list(ctx, { prefix: key, limit: 1 });
  if (listed.objects[0]?.key !== key)
    facts.findings.push("What was just written does not show in listings; they may be late.");
  const info = await store.head(ctx, key);
  facts.userMetadata = info.metadata["probe"] === METADATA.probe;
  if (!facts.userMetadata) facts.findings.push("Metadata of objects is not kept.");
  const part = await attempt(() => read(store, ctx, key, { range: { start: 2, end: 7 } }));
  facts.ranges = part.done && part.value.equals(body.subarray(2, 7));
  if (!facts.ranges) facts.findings.push("Ranges of objects can not be read.");
  const other = await attempt(() => read(store, ctx, key, { ifMatch: NO_SUCH_ETAG }));
  const same = await attempt(() => read(store, ctx, key, { ifMatch: info.etag }));
  facts.conditionalReads = same.done && !other.done && refused(other.error);
  if (!facts.conditionalReads) facts.findings.push("If-Match is not enforced when reading.");
}

async function probeWrites(store: Store, ctx: Ctx, { key, body, facts }: Probe): Promise<void> {
  const { etag } = await store.head(ctx, key);
  const created = await attempt(() => write(store, ctx, key, body, { ifNoneMatch: "*" }));
  const stolen = await attempt(() => write(store, ctx, key, body, { ifMatch: NO_SUCH_ETAG }));
  const replaced = await attempt(() =>
    write(store, ctx, key, body, { ifMatch: created.done || stolen.done ? NO_SUCH_ETAG : etag }),
  );
  facts.conditionalWrites =
    !created.done && refused(created.error) && !stolen.done && refused(stolen.error) && replaced.done;
  if (!facts.conditionalWrites) facts.findings.push("If-Match and If-None-Match are not enforced when writing.");
}

async function probeParts(store: Store, ctx: Ctx, { key, body, facts }: Probe): Promise<void> {
  const limits = store.capabilities.multipart;
  if (limits === undefined) {
    facts.conditionalCompletes = facts.conditionalWrites;
    return;
  }
  const tried = await attempt(async () => {
    const upload = await store.createMultipart(ctx, key, { partSizeBytes: Math.max(limits.minPartBytes, body.length) });
    try {
      const part = await store.uploadPart(ctx, upload, 1, {
        sizeBytes: body.length,
        async *open() {
          yield body;
        },
      });
      const listed = await store.listParts(ctx, upload);
      if (listed.length !== 1 || listed[0]?.sizeBytes !== body.length)
        throw new GfsError("Unsupported", "Parts do not arrive.");
      const completed = await attempt(() => store.completeMultipart(ctx, upload, [part], { ifNoneMatch: "*" }));
      if (!completed.done && !refused(completed.error)) throw completed.error;
      facts.conditionalCompletes = !completed.done;
    } finally {
      await store.abortMultipart(backgroundCtx({ requestId: ctx.requestId, log: ctx.log }), upload);
    }
  });
  facts.multipart = tried.done;
  if (!tried.done) {
    if (isGfsError(tried.error, "Unavailable", "Timeout", "Canceled", "Overloaded")) throw tried.error;
    facts.findings.push("Uploads in parts do not work.");
  } else if (!facts.conditionalCompletes) {
    facts.findings.push("If-Match and If-None-Match are not enforced when an upload in parts is completed.");
  }
}

async function probeDeletes(store: Store, ctx: Ctx, { key, facts }: Omit<Probe, "body">): Promise<void> {
  const deleted = await attempt(() => store.delete(ctx, key, { ifMatch: NO_SUCH_ETAG }));
  const there = await attempt(() => store.head(ctx, key));
  facts.conditionalDeletes = !deleted.done && refused(deleted.error) && there.done;
  if (!facts.conditionalDeletes) facts.findings.push("If-Match is not enforced when deleting.");
}

async function write(store: Store, ctx: Ctx, key: string, body: Buffer, conditions?: WriteConditions): Promise<void> {
  const staged = await store.stage(ctx, key, { sizeBytes: body.length, metadata: METADATA });
  try {
    await staged.write(body);
    await staged.seal();
    await staged.commit(ctx, conditions);
  } catch (error) {
    await staged.abort();
    throw error;
  }
}

async function read(store: Store, ctx: Ctx, key: string, options?: Parameters<Store["get"]>[2]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.get(ctx, key, options)).stream) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

type Attempt<T> = { readonly done: true; readonly value: T } | { readonly done: false; readonly error: GfsError };

/** A site in trouble is not one that lacks something: such failures end the probe. */
async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { done: true, value: await work() };
  } catch (error) {
    const failure = toGfsError(error, "store.probe");
    if (isGfsError(failure, "Unavailable", "Timeout", "Canceled", "Overloaded", "Internal", "NoSpace")) throw failure;
    return { done: false, error: failure };
  }
}

function refused(error: GfsError): boolean {
  return isGfsError(error, "PreconditionFailed", "Conflict", "AlreadyExists");
}

function restricted(store: Store, facts: ProbeReport): Store {
  const claimed = store.capabilities;
  const { multipart, conditionalCopyBytes, ...others } = claimed;
  const conditionalWrites = claimed.conditionalWrites && facts.conditionalWrites && facts.conditionalCompletes;
  const conditionalReads = claimed.conditionalReads && facts.conditionalReads;
  const capabilities: StoreCapabilities = facts.writable
    ? {
        ...others,
        conditionalWrites,
        conditionalReads,
        ...(facts.conditionalWrites && conditionalCopyBytes !== undefined ? { conditionalCopyBytes } : {}),
        ranges: claimed.ranges && facts.ranges,
        userMetadata: claimed.userMetadata && facts.userMetadata,
        ...(facts.multipart && multipart !== undefined ? { multipart } : {}),
      }
    : { ...others, conditionalWrites: false };
  const checkWrite = (conditions: WriteConditions | undefined): void => {
    const conditional = conditions?.ifMatch !== undefined || conditions?.ifNoneMatch !== undefined;
    if (conditional && !capabilities.conditionalWrites) throw unsupported("does not enforce conditions on writes");
  };
  const checkParts = (): void => {
    if (capabilities.multipart === undefined) throw unsupported("takes no uploads in parts");
  };
  return delegateStore(store, {
    capabilities,
    async get(ctx, key, options) {
      if (options?.ifMatch !== undefined && !capabilities.conditionalReads)
        throw unsupported("does not enforce conditions on reads");
      if (options?.range !== undefined && !capabilities.ranges) throw unsupported("can not read ranges");
      return store.get(ctx, key, options);
    },
    async stage(ctx, key, options) {
      const staged = await store.stage(ctx, key, options);
      return delegateStaged(staged, {
        async commit(commitCtx, conditions) {
          checkWrite(conditions);
          return staged.commit(commitCtx, conditions);
        },
      });
    },
    async createMultipart(ctx, key, options) {
      checkParts();
      return store.createMultipart(ctx, key, options);
    },
    async completeMultipart(ctx, upload, parts, conditions) {
      checkWrite(conditions);
      return store.completeMultipart(ctx, upload, parts, conditions);
    },
    async copy(ctx, from, to, options) {
      if (capabilities.conditionalCopyBytes === undefined) checkWrite(options);
      return store.copy(ctx, from, to, options);
    },
  });
}

function unsupported(what: string): GfsError {
  return new GfsError("Unsupported", `This site ${what}; its registration found that out.`, { op: "store.probe" });
}
