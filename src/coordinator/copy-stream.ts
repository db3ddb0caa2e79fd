import type { Ctx } from "../core/context.ts";
import { GfsError, toGfsError } from "../core/errors.ts";
import type { FilePath, Inode } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import { createQuickProof, enqueueJob } from "../mover/index.ts";
import { type Copy, type FileVersion, findOwner } from "../namespace/index.ts";
import type { ObjectBody, Site, Span } from "../stores/index.ts";
import type { Parts } from "./parts.ts";

/** How often one stream may be taken up again, also from the site that broke it off. */
const MAX_RESUMES = 4;

export interface Wanted {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly span: Span;
  /** Of an older version, which no name leads to. */
  readonly holder?: Inode;
}

export interface Candidate {
  readonly copy: Copy;
  readonly site: Site;
}

export interface OpenCopy extends Candidate {
  readonly body: ObjectBody;
}

export interface Reading {
  readonly wanted: Wanted;
  readonly first: OpenCopy;
  /** Opens what is left from the next copy; the one that failed comes last. */
  readonly openFrom: (start: number, failed: Candidate) => Promise<OpenCopy>;
}

/**
 * Goes on from another copy where one breaks off. A whole version is held against its checksum on the way: its last piece is kept back until
 * the sum is known, so that whoever has seen the end has seen the right bytes. Bytes that are wrong are found out too late to be taken back: then
 * the stream breaks, unless nothing of them was given out yet.
 */
export async function* resumingStream(parts: Parts, ctx: Ctx, reading: Reading): AsyncGenerator<Uint8Array> {
  const { wanted, first, openFrom } = reading;
  const { start, end } = wanted.span;
  const whole = start === 0 && end === wanted.version.sizeBytes;
  const prove = (): ReturnType<typeof createQuickProof> => (whole ? createQuickProof(wanted.version) : undefined);
  let open = first;
  let proof = prove();
  let received = start;
  let given = start;
  let held: Uint8Array | undefined;
  for (let resumes = 0; ; resumes++) {
    try {
      for await (const chunk of open.body.stream) {
        proof?.update(chunk);
        received += chunk.byteLength;
        if (held !== undefined) {
          given += held.byteLength;
          yield held;
        }
        held = chunk;
      }
      if (received < end) {
        throw new GfsError("Unavailable", `Site ${open.site.name} ended the object early.`, { op: "coordinator.read" });
      }
      if (proof?.holds() === false) throw corrupt(open, wanted);
      if (held !== undefined) yield held;
      return;
    } catch (error) {
      const failure = toGfsError(error, "coordinator.read");
      if (failure.code === "Canceled" || ctx.signal.aborted) throw failure;
      parts.log.warn("read_resumed", { path: wanted.path, site: open.site.name, received, error: failure.message });
      const rotten = failure.code === "DataCorrupt";
      if (rotten) await orderCheck(parts, wanted, open);
      if (resumes === MAX_RESUMES || (rotten && given > start)) throw failure;
      if (rotten) {
        received = start;
        held = undefined;
        proof = prove();
      }
      open = await openFrom(received, { copy: open.copy, site: open.site });
    }
  }
}

function corrupt({ site, copy }: OpenCopy, { path }: Wanted): GfsError {
  return new GfsError("DataCorrupt", `Site ${site.name} gave other bytes of ${path} than were written.`, {
    op: "coordinator.read",
    context: { path, site: site.name, key: copy.key },
  });
}

/** The copy is read once more, all of it; if it is rotten it is taken out of use and mended from another. */
async function orderCheck(parts: Parts, { path, version }: Wanted, { copy, site }: OpenCopy): Promise<void> {
  const nowMs = parts.clock.nowMs();
  try {
    await parts.kv.transact(function* (tx): Program<void> {
      const owner = yield* findOwner(tx, site.name, copy.key);
      if (owner?.versionId !== version.id) return;
      const { inode } = owner;
      const { id: versionId, sizeBytes } = version;
      const spec = { kind: "verify" as const, path, inode, versionId, site: site.name, key: copy.key, sizeBytes };
      const limit = parts.settings.maxQueuedJobs;
      yield* enqueueJob(tx, { ...spec, priority: 1 }, { id: parts.nextJobId(), nowMs, limit });
    });
    parts.mover.wake();
  } catch (error) {
    parts.log.warn("check_not_ordered", { path, site: site.name, error: toGfsError(error).message });
  }
}
