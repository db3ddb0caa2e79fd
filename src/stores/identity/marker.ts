import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { Store, WriteConditions } from "../store.ts";

/** What says which place this is. It lies where no path of the namespace leads, behind the site's prefix. `docs/formats.md` shows it. */
export const MARKER_KEY = ".globalfs/site";
/** Lies beside the marker where more than one catalog uses the place: what has no owner in one of them may be another's. */
const SHARED_KEY = ".globalfs/shared";
const MAX_MARKER_BYTES = 4_096;
const ID = /^[0-9a-f]{32}$/;

/** Undefined where none lies; rejects when the place does not answer, or holds something else there. */
export async function readMarker(store: Store, ctx: Ctx): Promise<string | undefined> {
  let text = "";
  try {
    const { info, stream, cancel } = await store.get(ctx, MARKER_KEY);
    if (info.sizeBytes > MAX_MARKER_BYTES) {
      cancel();
      throw unreadable();
    }
    const decoder = new TextDecoder();
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
  try {
    const marker = JSON.parse(text) as { v?: unknown; id?: unknown };
    if (marker.v === 1 && typeof marker.id === "string" && ID.test(marker.id)) return marker.id;
  } catch {
    // Said below.
  }
  throw unreadable();
}

/** Resolves with the id that lies there afterwards: another one when somebody was faster. */
export async function writeMarker(store: Store, ctx: Ctx, id: string): Promise<string> {
  const body = Buffer.from(`${JSON.stringify({ v: 1, id, what: "the identity of a GlobalFS site; keep it" })}\n`);
  const conditions: WriteConditions = store.capabilities.conditionalWrites ? { ifNoneMatch: "*" } : {};
  if (conditions.ifNoneMatch === undefined) {
    const there = await readMarker(store, ctx);
    if (there !== undefined) return there;
  }
  const staged = await store.stage(ctx, MARKER_KEY, { sizeBytes: body.length, contentType: "application/json" });
  try {
    await staged.write(body);
    await staged.seal();
    await staged.commit(ctx, conditions);
  } catch (error) {
    await staged.abort();
    // Also the answer to our own write may have been lost; what lies there decides.
    if (!isGfsError(error, "PreconditionFailed", "Conflict", "AlreadyExists")) throw error;
  }
  const there = await readMarker(store, ctx);
  if (there === undefined) {
    throw new GfsError("Unavailable", "The site does not show its marker after it was written; do not use it.", {
      op: "site.identity",
      retry: "never",
    });
  }
  return there;
}

/** From here on no catalog takes away what it does not know there. */
export async function markShared(store: Store, ctx: Ctx): Promise<void> {
  const body = Buffer.from("More than one catalog of GlobalFS uses this place.\n");
  const staged = await store.stage(ctx, SHARED_KEY, { sizeBytes: body.length, contentType: "text/plain" });
  try {
    await staged.write(body);
    await staged.seal();
    await staged.commit(ctx);
  } catch (error) {
    await staged.abort();
    throw error;
  }
}

export async function isShared(store: Store, ctx: Ctx): Promise<boolean> {
  try {
    await store.head(ctx, SHARED_KEY);
    return true;
  } catch (error) {
    if (isGfsError(error, "NotFound")) return false;
    throw error;
  }
}

function unreadable(): GfsError {
  return new GfsError(
    "Unavailable",
    `What lies under ${MARKER_KEY} is no marker of a site; put it back as it was, or remove it and adopt the place.`,
    { op: "site.identity", retry: "never" },
  );
}
