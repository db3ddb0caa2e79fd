import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import { createQuickProof } from "../../mover/index.ts";
import { suspectCopy } from "../copies/copy-check.ts";
import { doubtSite } from "../copies/doubt-site.ts";
import type { Kit } from "../kit.ts";
import { type Candidate, isWhole, type OpenCopy, type Wanted } from "../copies/wanted.ts";

/** How often one stream may be taken up again, also from the site that broke it off. */
const MAX_RESUMES = 4;

export interface Reading {
  readonly wanted: Wanted;
  readonly first: OpenCopy;
  /** Opens what is left from the next copy. */
  readonly openFrom: (start: number) => Promise<OpenCopy>;
  /** The one that failed may be tried once more, after all others. */
  readonly retryLast: (failed: Candidate) => void;
  /** Whether a copy is left to open. */
  readonly hasMore: () => boolean;
}

/**
 * Goes on from another copy where one breaks off. A whole version is held against its checksum on the way: its last piece is kept back until
 * the sum is known, so that whoever has seen the end has seen the right bytes. Bytes that are wrong are found out too late to be taken back: then
 * the stream breaks, unless nothing of them was given out yet.
 */
export async function* resumingStream(kit: Kit, ctx: Ctx, reading: Reading): AsyncGenerator<Uint8Array> {
  const { wanted, first, openFrom } = reading;
  const { start, end } = wanted.span;
  const prove = (): ReturnType<typeof createQuickProof> =>
    isWhole(wanted) ? createQuickProof(wanted.version) : undefined;
  let open = first;
  let proof = prove();
  let received = start;
  let given = start;
  let held: Uint8Array | undefined;
  let contributors: OpenCopy[] = [first];
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
      kit.log.warn("read_resumed", { path: wanted.path, site: open.site.name, received, error: failure.message });
      const rotten = failure.code === "DataCorrupt";
      if (rotten) await suspect(kit, wanted, contributors);
      else reading.retryLast({ copy: open.copy, site: open.site });
      doubtSite(kit, open.site, failure);
      if (resumes === MAX_RESUMES || (rotten && (given > start || !reading.hasMore()))) throw failure;
      if (rotten) {
        received = start;
        held = undefined;
        proof = prove();
        contributors = [];
      }
      open = await openFrom(received);
      contributors.push(open);
    }
  }
}

function corrupt({ site, copy }: OpenCopy, { path }: Wanted): GfsError {
  return new GfsError("DataCorrupt", `Site ${site.name} gave other bytes of ${path} than were written.`, {
    op: "coordinator.read",
    context: { path, site: site.name, key: copy.key },
  });
}

/** Nobody can tell which of the copies that a stream was put together from is the rotten one. */
async function suspect(kit: Kit, { path, version }: Wanted, contributors: readonly OpenCopy[]): Promise<void> {
  const { id: versionId, sizeBytes } = version;
  for (const { copy, site } of contributors)
    await suspectCopy(kit, { path, versionId, sizeBytes, site: site.name, key: copy.key });
}
