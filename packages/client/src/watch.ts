import type { Readable } from "node:stream";
import { mayComeBack, pauseAfter } from "./comeback.ts";
import { asRecord, parseJson } from "./decode.ts";
import { errorOfTransport, GlobalFsError } from "./errors.ts";
import { discard, type Transport } from "./transport.ts";
import type { CallOptions, ChangeKind, WatchEvent } from "./types.ts";

export interface WatchOptions extends CallOptions {
  /** Only names that begin with it, and directories above it that are renamed. */
  readonly prefix?: string;
  readonly kinds?: readonly ChangeKind[];
  /** The position of an event: what came after it is told. 0 for all that is kept; absent: from now on. */
  readonly after?: number;
}

/** The coordinator shows every 15 seconds that it is there. */
const SILENT_MS = 45_000;
/** An event is one line of JSON about two paths. */
const LONGEST_FRAME = 256 * 1024;

/**
 * Changes of the namespace as they come, without end: a broken connection is made anew, and goes on where it broke. Stop iterating, or abort the signal, to
 * stop. Throws what the first connection meets, and later what no new attempt can mend.
 */
export async function* watchChanges(
  transport: Transport,
  { prefix, kinds, after, signal }: WatchOptions,
): AsyncGenerator<WatchEvent> {
  let place = after;
  let isBegun = false;
  for (let failures = 0; ; failures++) {
    try {
      const { body } = await transport.open({
        method: "GET",
        path: "/api/v1/events",
        query: { prefix, kinds: kinds?.join(","), after: place },
        expect: [200],
        timeoutMs: SILENT_MS,
        ...(signal === undefined ? {} : { signal }),
      });
      try {
        for await (const { id, event } of framesOf(body)) {
          // That it has begun anew nobody needs to know.
          if (event !== undefined && !(isBegun && event.kind === "begin")) yield event;
          [place, isBegun, failures] = [id, true, 0];
        }
      } catch (error) {
        throw errorOfTransport(error, transport.endpoint, signal);
      } finally {
        discard(body);
      }
    } catch (error) {
      if (!isBegun || !mayComeBack(error)) throw error;
    }
    await pauseAfter(failures + 1, signal, transport.endpoint);
  }
}

interface Frame {
  readonly id: number;
  readonly event: WatchEvent | undefined;
}

async function* framesOf(body: Readable): AsyncGenerator<Frame> {
  body.setEncoding("utf8");
  let text = "";
  for await (const piece of body) {
    text += piece as string;
    let end: number;
    while ((end = text.indexOf("\n\n")) !== -1) {
      yield frameOf(text.slice(0, end));
      text = text.slice(end + 2);
    }
    if (text.length > LONGEST_FRAME)
      throw new GlobalFsError("Internal", "The coordinator sent an event that is longer than any can be.");
  }
}

function frameOf(text: string): Frame {
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "m").exec(text)?.[1];
  const id = Number(field("id"));
  const [kind, data] = [field("event"), field("data")];
  if (kind === undefined || data === undefined) return { id, event: undefined };
  if (kind === "begin" || kind === "gap") return { id, event: { kind, position: id } };
  const told = asRecord(parseJson(data));
  const textOf = (name: string): string | undefined => {
    const value = told[name];
    return typeof value === "string" ? value : undefined;
  };
  const [path = "", from, cause, versionId, at = ""] = ["path", "from", "cause", "version_id", "at"].map(textOf);
  return {
    id,
    event: {
      kind: kind as ChangeKind,
      position: id,
      path,
      inode: Number(told["inode"]),
      at: new Date(at),
      ...(from === undefined ? {} : { from }),
      ...(cause === undefined ? {} : { cause }),
      ...(versionId === undefined ? {} : { versionId }),
    },
  };
}
