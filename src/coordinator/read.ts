import type { Ctx } from "../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";
import type { FilePath, Inode } from "../core/ids.ts";
import type { Copy, FileVersion } from "../namespace/index.ts";
import type { ObjectBody, Site } from "../stores/index.ts";
import { type Span, spanOf } from "../stores/index.ts";
import { readIsNotModified } from "./conditions.ts";
import { getRecord, getVersion, locate } from "./lookup.ts";
import { describeFile } from "./object-meta.ts";
import type { Parts } from "./parts.ts";
import { reconcile } from "./reconcile.ts";
import type { ObjectMeta, ObjectRead, OpenedRange, ReadOptions } from "./service.ts";

export async function headObject(
  parts: Parts,
  ctx: Ctx,
  key: string,
  { conditions, versionId }: ReadOptions = {},
): Promise<{ readonly meta: ObjectMeta; readonly notModified: boolean }> {
  const where = locate(key);
  const record =
    versionId === undefined ? await getRecord(parts, ctx, where) : await getVersion(parts, ctx, where, versionId);
  const meta = describeFile(where.key, record);
  return { meta, notModified: readIsNotModified(conditions, meta) };
}

export async function readObject(
  parts: Parts,
  ctx: Ctx,
  key: string,
  { conditions, versionId }: ReadOptions = {},
): Promise<ObjectRead> {
  const where = locate(key);
  const record =
    versionId === undefined ? await getRecord(parts, ctx, where) : await getVersion(parts, ctx, where, versionId);
  const meta = describeFile(where.key, record);
  const version = record.version;
  const holder = record.linkCount === 0 ? { holder: record.inode } : {};
  return {
    meta,
    notModified: readIsNotModified(conditions, meta),
    async open(range) {
      const span = spanOf(range, meta.sizeBytes);
      if (version?.sizeBytes === 0)
        await lookForReplacement(parts, ctx, { path: where.path, version, span, ...holder });
      if (version === undefined || span.start === span.end) return nothing(span);
      return await openVersion(parts, ctx, { path: where.path, version, span, ...holder });
    },
  };
}

interface Wanted {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly span: Span;
  /** Of an older version, which no name leads to. */
  readonly holder?: Inode;
}

/** No bytes of an empty object ever come from a site; one that has taken its place there is found only by asking. */
async function lookForReplacement(parts: Parts, ctx: Ctx, wanted: Wanted): Promise<void> {
  try {
    (await openFromCopies(parts, ctx, wanted)).cancel();
  } catch (error) {
    if (isGfsError(error, "Conflict", "Canceled")) throw error;
    parts.log.debug("empty_object_not_checked", { path: wanted.path, error: toGfsError(error).message });
  }
}

function nothing(span: Span): OpenedRange {
  return { ...span, stream: emptyStream(), bytes: EMPTY, cancel: () => undefined, source: "catalog" };
}

const EMPTY = new Uint8Array(0);

async function* emptyStream(): AsyncGenerator<Uint8Array> {}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function openVersion(parts: Parts, ctx: Ctx, wanted: Wanted): Promise<OpenedRange> {
  const { cache } = parts;
  const { version, span } = wanted;
  if (cache === undefined || !cache.admits(version.sizeBytes)) return await openFromCopies(parts, ctx, wanted);
  const whole = cache.peekWhole(version.id, version.sizeBytes);
  if (whole !== undefined) {
    const bytes = whole.subarray(span.start, span.end);
    return { ...span, stream: oneChunk(bytes), bytes, cancel: () => undefined, source: "cache" };
  }
  const opened = await cache.open(ctx, {
    versionId: version.id,
    sizeBytes: version.sizeBytes,
    ...span,
    fetch: async (fetchCtx, start, end) => await openFromCopies(parts, fetchCtx, { ...wanted, span: { start, end } }),
  });
  return { ...span, stream: opened.stream, cancel: opened.cancel, source: opened.source };
}

interface Candidate {
  readonly copy: Copy;
  readonly site: Site;
}

function isReadable(copy: Copy): boolean {
  return copy.state === "present" || copy.state === "foreign";
}

/** Copies that can be read, in the order of the route. */
export function readableCopies(parts: Parts, path: FilePath, version: FileVersion): Candidate[] {
  const candidates: Candidate[] = [];
  for (const site of parts.router.routeRead(path).sites) {
    const copy = version.copies.find((each) => each.site === site.name);
    if (copy !== undefined && isReadable(copy)) candidates.push({ copy, site });
  }
  return candidates;
}

/** Opens the first copy that answers. What the stream loses midway comes from the next copy, at that offset. */
export async function openFromCopies(parts: Parts, ctx: Ctx, wanted: Wanted): Promise<OpenedRange> {
  const candidates = readableCopies(parts, wanted.path, wanted.version);
  const first = await openNext(parts, ctx, wanted, candidates);
  let current: ObjectBody = first.body;
  return {
    ...wanted.span,
    source: first.site.name,
    stream: resumingStream(parts, ctx, wanted, candidates, first, (body) => {
      current = body;
    }),
    cancel: () => current.cancel(),
  };
}

interface OpenCopy extends Candidate {
  readonly body: ObjectBody;
}

/** How often one stream may be taken up again, also from the site that broke it off. */
const MAX_RESUMES = 4;

/** Takes candidates off the list until one opens. */
async function openNext(parts: Parts, ctx: Ctx, wanted: Wanted, candidates: Candidate[]): Promise<OpenCopy> {
  const failures: { site: string; error: GfsError }[] = [];
  for (let next = candidates.shift(); next !== undefined; next = candidates.shift()) {
    const { copy, site } = next;
    try {
      const body = await site.store.get(ctx, copy.key, {
        ...(wanted.span.start === 0 && wanted.span.end === wanted.version.sizeBytes ? {} : { range: wanted.span }),
        ...(copy.etag === undefined ? {} : { ifMatch: copy.etag }),
      });
      if (body.info.sizeBytes === wanted.version.sizeBytes) return { ...next, body };
      body.cancel();
      throw new GfsError("PreconditionFailed", `Site ${site.name} holds another size than the catalog says.`);
    } catch (error) {
      const failure = toGfsError(error, "coordinator.read");
      if (failure.code === "Canceled") throw failure;
      failures.push({ site: site.name, error: failure });
      if (isGfsError(failure, "NotFound", "PreconditionFailed", "RangeNotSatisfiable")) {
        const outcome = await reconcile(parts, ctx, { ...wanted, copy, site });
        if (outcome === "changed") {
          throw new GfsError("Conflict", `${wanted.path} changed while it was opened; read it again.`, {
            op: "coordinator.read",
          });
        }
      }
    }
  }
  throw noCopyAnswered(parts, wanted, failures);
}

function noCopyAnswered(
  parts: Parts,
  wanted: Wanted,
  failures: readonly { site: string; error: GfsError }[],
): GfsError {
  const context = { path: wanted.path, failures: failures.map(({ site, error }) => `${site}: ${error.message}`) };
  const lost =
    failures.length > 0 &&
    failures.every(({ error }) => isGfsError(error, "NotFound", "PreconditionFailed", "RangeNotSatisfiable"));
  const unasked = wanted.version.copies.filter(
    (copy) => isReadable(copy) && !failures.some(({ site }) => site === copy.site),
  );
  if (lost && unasked.length === 0) {
    return new GfsError(
      "DataCorrupt",
      `No site holds the bytes of ${wanted.path} any more; \`globalfs explain ${wanted.path}\` shows each copy.`,
      {
        op: "coordinator.read",
        context,
      },
    );
  }
  const named = [...new Set([...failures.map(({ site }) => site), ...unasked.map((copy) => copy.site as string)])];
  const routed = parts.router.routeRead(wanted.path);
  const left = unasked.filter(
    (copy) =>
      parts.sites.find(copy.site) !== undefined &&
      !routed.sites.some((site) => site.name === copy.site) &&
      !routed.skipped.some(({ site }) => site === copy.site),
  );
  if (routed.rule !== undefined && left.length > 0 && left.length === unasked.length) {
    const asked = failures.map(({ site }) => site).join(", ") || "none";
    return new GfsError(
      "Unavailable",
      `The rule ${routed.rule} lets reads of ${wanted.path} go to ${asked} only, and no answer came; ${left.map((copy) => copy.site).join(", ")} would have the bytes.`,
      { op: "coordinator.read", context, cause: failures[0]?.error },
    );
  }
  const gone = named.filter((name) => parts.sites.list().every((site) => site.name !== name));
  const hint = gone.length > 0 ? ` Site ${gone.join(", ")} is not registered any more.` : "";
  return new GfsError(
    "Unavailable",
    `No site that holds ${wanted.path} answers now (${named.join(", ") || "none"}); try again later.${hint}`,
    {
      op: "coordinator.read",
      context,
      cause: failures[0]?.error,
    },
  );
}

async function* resumingStream(
  parts: Parts,
  ctx: Ctx,
  wanted: Wanted,
  candidates: Candidate[],
  first: OpenCopy,
  onOpened: (body: ObjectBody) => void,
): AsyncGenerator<Uint8Array> {
  let open = first;
  let position = wanted.span.start;
  for (let resumes = 0; ; resumes++) {
    try {
      for await (const chunk of open.body.stream) {
        position += chunk.byteLength;
        yield chunk;
      }
      if (position === wanted.span.end) return;
      throw new GfsError("Unavailable", `Site ${open.site.name} ended the object early.`, { op: "coordinator.read" });
    } catch (error) {
      const failure = toGfsError(error, "coordinator.read");
      if (failure.code === "Canceled" || ctx.signal.aborted || position >= wanted.span.end) throw failure;
      parts.log.warn("read_resumed", { path: wanted.path, site: open.site.name, position, error: failure.message });
      if (resumes === MAX_RESUMES) throw failure;
      candidates.push({ copy: open.copy, site: open.site });
      open = await openNext(parts, ctx, { ...wanted, span: { start: position, end: wanted.span.end } }, candidates);
      onOpened(open.body);
    }
  }
}
