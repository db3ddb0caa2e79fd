import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { Span } from "../../stores/index.ts";
import { suspectCopy } from "../copies/copy-check.ts";
import { doubtSite } from "../copies/doubt-site.ts";
import type { Kit } from "../kit.ts";
import type { Candidate, OpenCopy, Wanted } from "../copies/wanted.ts";
import type { SpanProof } from "./span-proof.ts";

/** How often one stream may be taken up again, also from the site that broke it off. */
const MAX_RESUMES = 4;

export interface Reading {
  /** All that is read: what was asked for, and the rest of its blocks. */
  readonly wanted: Wanted;
  readonly asked: Span;
  readonly proof: SpanProof | undefined;
  readonly first: OpenCopy;
  /** Opens what is left from the next copy. */
  readonly openFrom: (start: number) => Promise<OpenCopy>;
  /** The one that failed may be tried once more, after all others. */
  readonly retryLast: (failed: Candidate) => void;
  /** Whether a copy is left to open. */
  readonly hasMore: () => boolean;
}

/**
 * Goes on from another copy where one breaks off. Bytes are held against the sums of their blocks on the way: the last piece of a block is kept back until
 * its sum is known, so that whoever has seen the end has seen the right bytes. Bytes that are wrong are found out too late to be taken back: then the
 * stream breaks, unless nothing of their block was given out yet.
 */
export async function* resumingStream(kit: Kit, ctx: Ctx, reading: Reading): AsyncGenerator<Uint8Array> {
  const { wanted, asked, proof, first, openFrom } = reading;
  const { start, end } = wanted.span;
  let open = first;
  let received = start;
  let givenEnd = -1;
  let held: { readonly bytes: Uint8Array; readonly at: number } | undefined;
  let contributors: OpenCopy[] = [first];
  const give = function* (bytes: Uint8Array, at: number): Generator<Uint8Array> {
    const from = Math.max(asked.start - at, 0);
    const to = Math.min(asked.end - at, bytes.byteLength);
    if (from >= to) return;
    givenEnd = at + to;
    yield from === 0 && to === bytes.byteLength ? bytes : bytes.subarray(from, to);
  };
  for (let resumes = 0; ; resumes++) {
    try {
      for await (const chunk of open.body.stream) {
        const at = received;
        if (proof?.update(chunk) === false) {
          // What lies before the wrong block was found right with this very chunk, perhaps.
          const { provenEnd } = proof;
          if (held !== undefined && held.at < provenEnd) yield* give(held.bytes, held.at);
          if (at < provenEnd) yield* give(chunk.subarray(0, provenEnd - at), at);
          throw corrupt(open, wanted);
        }
        received += chunk.byteLength;
        if (held !== undefined) yield* give(held.bytes, held.at);
        held = undefined;
        const proven = proof === undefined ? chunk.byteLength : Math.max(0, proof.provenEnd - at);
        if (proven > 0) {
          yield* give(proven < chunk.byteLength ? chunk.subarray(0, proven) : chunk, at);
          contributors = [open];
        }
        if (proven < chunk.byteLength) held = { bytes: chunk.subarray(proven), at: at + proven };
      }
      if (received >= end) return;
      throw new GfsError("Unavailable", `Site ${open.site.name} ended the object early.`, { op: "coordinator.read" });
    } catch (error) {
      const failure = toGfsError(error, "coordinator.read");
      if (failure.code === "Canceled" || ctx.signal.aborted) throw failure;
      kit.log.warn("read_resumed", { path: wanted.path, site: open.site.name, received, error: failure.message });
      const rotten = failure.code === "DataCorrupt";
      if (rotten) await suspect(kit, wanted, contributors);
      else reading.retryLast({ copy: open.copy, site: open.site });
      doubtSite(kit, open.site, failure);
      const provenEnd = proof?.provenEnd ?? received;
      if (resumes === MAX_RESUMES || (rotten && (givenEnd > provenEnd || !reading.hasMore()))) throw failure;
      if (rotten) {
        proof?.restart();
        received = provenEnd;
        held = undefined;
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
