/** Reading a blob as a stream whose end is checked. */
import type { BlockBlobClient } from "@azure/storage-blob";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import { spanOf } from "../../byte-range.ts";
import type { ByteRange, GetOptions, ObjectBody } from "../../store.ts";
import { allowManyListeners } from "../remote/shared-signal.ts";
import { azureConditions, bareEtag, infoOf } from "./attributes.ts";
import { toAzureError } from "./failures.ts";

interface DownloadedStream extends AsyncIterable<Uint8Array | string> {
  destroy(): void;
  on(event: "error", listener: () => void): unknown;
}

export async function getBlob(blob: BlockBlobClient, ctx: Ctx, key: string, options: GetOptions): Promise<ObjectBody> {
  const abortSignal = allowManyListeners(ctx.signal);
  try {
    let { ifMatch } = options;
    let offset = 0;
    let count: number | undefined;
    if (options.range !== undefined) {
      const wanted = await resolveRange(blob, options.range, {
        ...(ifMatch === undefined ? {} : { ifMatch }),
        abortSignal,
      });
      ({ offset, count } = wanted);
      ifMatch = wanted.ifMatch ?? ifMatch;
    }
    const conditions = azureConditions(ifMatch === undefined ? undefined : { ifMatch });
    const found = await blob.download(offset, count, { abortSignal, conditions, maxRetryRequests: 0 });
    const body = found.readableStreamBody as DownloadedStream | undefined;
    if (body === undefined) throw new GfsError("Unavailable", "Azure sent no body.", { op: "azure.get" });
    const lengthBytes = found.contentLength ?? 0;
    const total = /\/(\d+)$/.exec(found.contentRange ?? "");
    const sizeBytes = total === null ? lengthBytes : Number(total[1]);
    if (options.range !== undefined && offset >= sizeBytes) {
      body.destroy();
      throw new GfsError("RangeNotSatisfiable", "The range lies outside the object.", {
        op: "azure.get",
        context: { sizeBytes },
      });
    }
    const span = { start: offset, end: offset + lengthBytes };
    // A failure while nobody reads yet must not end the process; the reader meets it when it comes.
    body.on("error", () => undefined);
    const stream = checkedStream(ctx, body, lengthBytes);
    return { info: infoOf(key, sizeBytes, found), ...span, stream, cancel: () => body.destroy() };
  } catch (error) {
    const failure = toAzureError(error, "azure.get", ctx.signal);
    // Azure says of a condition on nothing that it is not met; nothing is what the caller should hear of.
    if (isGfsError(failure, "PreconditionFailed") && !(await blobExists(blob, ctx))) {
      throw new GfsError("NotFound", "The object is not there.", { op: "azure.get", cause: failure });
    }
    throw failure;
  }
}

export async function blobExists(blob: BlockBlobClient, ctx: Ctx): Promise<boolean> {
  try {
    return await blob.exists({ abortSignal: allowManyListeners(ctx.signal) });
  } catch (error) {
    throw toAzureError(error, "azure.head", ctx.signal);
  }
}

/** Azure knows no ranges from the end: those take a look at the size first, and then insist on that very object. */
async function resolveRange(
  blob: BlockBlobClient,
  range: ByteRange,
  options: { readonly ifMatch?: string; readonly abortSignal: AbortSignal },
): Promise<{ readonly offset: number; readonly count: number | undefined; readonly ifMatch?: string }> {
  if (!("suffix" in range)) {
    const nothing = range.start < 0 || (range.end !== undefined && range.end <= range.start);
    if (nothing) throw new GfsError("RangeNotSatisfiable", "The range holds no byte.", { op: "azure.get" });
    return { offset: range.start, count: range.end === undefined ? undefined : range.end - range.start };
  }
  const facts = await blob.getProperties({
    abortSignal: options.abortSignal,
    conditions: azureConditions(options.ifMatch === undefined ? undefined : { ifMatch: options.ifMatch }),
  });
  const { start, end } = spanOf(range, facts.contentLength ?? 0);
  return { offset: start, count: end - start, ifMatch: bareEtag(facts.etag ?? "") };
}

async function* checkedStream(ctx: Ctx, body: DownloadedStream, expectedBytes: number): AsyncGenerator<Uint8Array> {
  let seenBytes = 0;
  try {
    for await (const chunk of body) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      seenBytes += bytes.byteLength;
      yield bytes;
    }
  } catch (error) {
    throw toAzureError(error, "azure.get", ctx.signal);
  } finally {
    body.destroy();
  }
  if (seenBytes !== expectedBytes) {
    throw new GfsError("Unavailable", "Azure ended the object early; read it again.", {
      op: "azure.get",
      retry: "safe",
      context: { seenBytes, expectedBytes },
    });
  }
}
