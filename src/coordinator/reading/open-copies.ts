import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import { isProvable } from "../../mover/index.ts";
import { type FileVersion, findByInode } from "../../namespace/index.ts";
import type { ObjectBody } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { resumingStream } from "./copy-stream.ts";
import { doubtSite } from "../copies/doubt-site.ts";
import { type Elsewhere, findElsewhere } from "./find-elsewhere.ts";
import { proveRead } from "./span-proof.ts";
import type { Kit } from "../kit.ts";
import { reconcile, type Reconciled } from "../foreign/reconcile.ts";
import type { OpenedRange } from "../service/service.ts";
import { type Candidate, isReadable, isWhole, type OpenCopy, type Wanted } from "../copies/wanted.ts";

/** Bytes of one version, from whichever of its copies answers. */

/** Copies that can be read, in the order of the route; those that gave wrong bytes just now come last. */
export function readableCopies(kit: Kit, path: FilePath, version: FileVersion): Candidate[] {
  const candidates: Candidate[] = [];
  const suspected: Candidate[] = [];
  for (const site of kit.router.routeRead(path).sites) {
    const copy = version.copies.find((each) => each.site === site.name);
    if (copy === undefined || !isReadable(copy)) continue;
    (kit.suspects.has(version.id, site.name) ? suspected : candidates).push({ copy, site });
  }
  return suspected.length === 0 ? candidates : [...candidates, ...suspected];
}

/** Opens the first copy that answers. What the stream loses midway comes from the next copy, at that offset. */
export async function openFromCopies(kit: Kit, ctx: Ctx, request: Wanted): Promise<OpenedRange> {
  const { cover, proof } = proveRead(request.version, request.span);
  const wanted = { ...request, span: cover };
  const candidates = readableCopies(kit, wanted.path, wanted.version);
  const first = await openNext(kit, ctx, wanted, candidates);
  let current: ObjectBody = first.body;
  const reading = {
    wanted,
    asked: request.span,
    proof,
    first,
    openFrom: async (start: number): Promise<OpenCopy> => {
      const next = await openNext(
        kit,
        ctx,
        { ...wanted, midway: true, span: { start, end: wanted.span.end } },
        candidates,
      );
      current = next.body;
      return next;
    },
    retryLast: (failed: Candidate): void => void candidates.push(failed),
    hasMore: () => candidates.length > 0,
  };
  return {
    ...request.span,
    source: first.site.name,
    stream: resumingStream(kit, ctx, reading),
    cancel: () => current.cancel(),
  };
}

/** Takes candidates off the list until one opens. */
async function openNext(kit: Kit, ctx: Ctx, wanted: Wanted, candidates: Candidate[]): Promise<OpenCopy> {
  const failures: Failure[] = [];
  const whole = isWhole(wanted);
  const checkedHere = isProvable(wanted.version);
  for (let next = candidates.shift(); next !== undefined; next = candidates.shift()) {
    const { copy, site } = next;
    try {
      const body = await site.store.get(ctx, copy.key, {
        ...(whole ? {} : { range: wanted.span }),
        ...(checkedHere ? { checkedByCaller: true } : {}),
        ...(copy.etag === undefined ? {} : { ifMatch: copy.etag }),
      });
      if (body.info.sizeBytes === wanted.version.sizeBytes) return { ...next, body };
      body.cancel();
      throw new GfsError("PreconditionFailed", `Site ${site.name} holds another size than the catalog says.`);
    } catch (error) {
      const failure = toGfsError(error, "coordinator.read");
      if (failure.code === "Canceled") throw failure;
      failures.push({ site: site.name, error: failure });
      doubtSite(kit, site, failure);
      if (isGfsError(failure, "NotFound", "PreconditionFailed", "RangeNotSatisfiable")) {
        const moved = await findMoved(kit, wanted, next);
        if (moved !== undefined) {
          failures.pop();
          candidates.unshift(moved);
          continue;
        }
        const outcome = await settleDisagreement(kit, ctx, wanted, next);
        if (outcome === "changed") {
          throw new GfsError("Conflict", `${wanted.path} changed while it was opened; read it again.`, {
            op: "coordinator.read",
          });
        }
      }
    }
  }
  if (!isLost(wanted, failures)) throw noCopyAnswered(kit, wanted, failures);
  const { found, silent } =
    wanted.lastResort === true || isForReaders(kit, wanted) ? NOWHERE : await findElsewhere(kit, ctx, wanted);
  if (found !== undefined) return await openNext(kit, ctx, { ...wanted, lastResort: true }, [found]);
  throw lost(wanted, failures, silent);
}

/** The version may have been published since it was looked up: its bytes are under another key of the site then. */
async function findMoved(
  kit: Kit,
  { version, inode }: Wanted,
  { copy, site }: Candidate,
): Promise<Candidate | undefined> {
  const file = await readCatalog(kit.kv, (tx) => findByInode(tx, inode));
  if (file?.version?.id !== version.id) return undefined;
  const now = file.version.copies.find((each) => each.site === site.name);
  if (now === undefined || !isReadable(now) || (now.key === copy.key && now.etag === copy.etag)) return undefined;
  return { copy: now, site };
}

const NOWHERE: Elsewhere = { silent: [] };

/** Bytes were given out by a process that can pass nothing on any more. */
function isForReaders(kit: Kit, { midway }: Wanted): boolean {
  return midway === true && kit.passOnCheck !== undefined;
}

interface Failure {
  readonly site: string;
  readonly error: GfsError;
}

/** Every copy that counts was asked, and none is there. */
function isLost({ version }: Wanted, failures: readonly Failure[]): boolean {
  return (
    failures.every(({ error }) => isGfsError(error, "NotFound", "PreconditionFailed", "RangeNotSatisfiable")) &&
    version.copies.every((copy) => !isReadable(copy) || failures.some(({ site }) => site === copy.site))
  );
}

function contextOf({ path }: Wanted, failures: readonly Failure[]): { path: string; failures: string[] } {
  return { path, failures: failures.map(({ site, error }) => `${site}: ${error.message}`) };
}

function lost(wanted: Wanted, failures: readonly Failure[], silent: readonly string[]): GfsError {
  const details = { op: "coordinator.read", context: contextOf(wanted, failures) };
  const { path } = wanted;
  if (silent.length > 0) {
    return new GfsError(
      "Unavailable",
      `No site that answers holds the bytes of ${path}, and ${silent.join(", ")} may have them and does not answer; try again when it does.`,
      details,
    );
  }
  return new GfsError(
    "DataCorrupt",
    `No site holds the bytes of ${path} any more; \`globalfs explain ${path}\` shows each copy.`,
    details,
  );
}

/** A process that may not write the catalog passes a read on, unless bytes of it were given out already: then it goes on with what is left. */
async function settleDisagreement(kit: Kit, ctx: Ctx, wanted: Wanted, { copy, site }: Candidate): Promise<Reconciled> {
  try {
    return await reconcile(kit, ctx, { ...wanted, copy, site });
  } catch (error) {
    if (isGfsError(error, "ReadOnly") && wanted.midway === true) return "next";
    throw error;
  }
}

function noCopyAnswered(kit: Kit, wanted: Wanted, failures: readonly Failure[]): GfsError {
  const context = contextOf(wanted, failures);
  const unasked = wanted.version.copies.filter(
    (copy) => isReadable(copy) && !failures.some(({ site }) => site === copy.site),
  );
  const named = [...new Set([...failures.map(({ site }) => site), ...unasked.map((copy) => copy.site as string)])];
  const routed = kit.router.routeRead(wanted.path);
  const left = unasked.filter(
    (copy) =>
      kit.sites.find(copy.site) !== undefined &&
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
  const gone = named.filter((name) => kit.sites.list().every((site) => site.name !== name));
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
