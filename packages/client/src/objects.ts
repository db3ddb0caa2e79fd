import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { objectOfHeaders, pageOf, parseJson, asRecord } from "./decode.ts";
import { type Download, downloadOf, resumedBytes, spanOf } from "./download.ts";
import { GlobalFsError, header } from "./errors.ts";
import { PartialListing } from "./partial-listing.ts";
import { discard, type OpenAnswer, type Transport } from "./transport.ts";
import type {
  CallOptions,
  Conditions,
  DeleteOptions,
  DeleteResult,
  FailedSite,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectInfo,
  PutOptions,
  PutResult,
  Unconditional,
} from "./types.ts";

/**
 * What can be stored: bytes, text, a stream of bytes, a local file, or what makes a stream. All but a stream can be read from the
 * beginning again, and are sent again when the coordinator answers that it cannot take them now.
 */
export type PutBody =
  | Uint8Array
  | string
  | AsyncIterable<Uint8Array>
  | { readonly file: string }
  | (() => AsyncIterable<Uint8Array>);

export interface ListAllOptions extends ListOptions {
  /** Called once for every site that could not be listed. Without it, the iteration ends with a `Partial` error then. */
  readonly onPartial?: (failed: FailedSite) => void;
}

const OBJECTS = "/api/v1/objects";

export function keyPath(prefix: string, key: string): string {
  try {
    return `${prefix}/${key.split("/").map(encodeURIComponent).join("/")}`;
  } catch (error) {
    throw new GlobalFsError("InvalidKey", "The key is not well-formed Unicode text.", { cause: error });
  }
}

export function createObjectCalls(transport: Transport) {
  function get(key: string, options?: Unconditional<GetOptions>): Promise<Download>;
  function get(key: string, options?: GetOptions): Promise<Download | undefined>;
  async function get(key: string, options: GetOptions = {}): Promise<Download | undefined> {
    const path = keyPath(OBJECTS, key);
    const ask = (headers: Record<string, string | undefined>, expect: number[]): Promise<OpenAnswer> =>
      transport.open({ method: "GET", path, headers, expect, ...callOptions(options) });
    const range = rangeText(options.range);
    const first = await ask({ ...conditionHeaders(options), range }, [200, 206, 304]);
    if (first.status === 304) {
      discard(first.body);
      return undefined;
    }
    const span = spanOf(first);
    const info = objectOfHeaders(key, first, span.size);
    const whole = span.start === 0 && span.end === span.size;
    const source = resumedBytes(transport, {
      first,
      span,
      etag: info.etag,
      sha256: whole && options.verify !== false ? info.sha256 : undefined,
      signal: options.signal,
      reopen: async (start) => {
        const again = await ask({ range: `bytes=${start}-${span.end - 1}`, "if-match": `"${info.etag}"` }, [206]);
        if (spanOf(again).start === start) return again;
        discard(again.body);
        throw new GlobalFsError("BrokenStream", "The coordinator went on from another place than it was asked to.");
      },
    });
    return downloadOf(info, span, source, () => discard(first.body));
  }

  function head(key: string, options?: Unconditional<CallOptions & Conditions>): Promise<ObjectInfo>;
  function head(key: string, options?: CallOptions & Conditions): Promise<ObjectInfo | undefined>;
  async function head(key: string, options: CallOptions & Conditions = {}): Promise<ObjectInfo | undefined> {
    const answer = await transport.text({
      method: "HEAD",
      path: keyPath(OBJECTS, key),
      headers: conditionHeaders(options),
      expect: [200, 304],
      ...callOptions(options),
    });
    if (answer.status === 304) return undefined;
    return objectOfHeaders(key, answer, Number(header(answer, "content-length") ?? 0));
  }

  async function put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    const path = keyPath(OBJECTS, key);
    const { content, size } = await contentOf(body, options.size);
    const headers: Record<string, string | undefined> = {
      ...conditionHeaders(options),
      "content-type": options.contentType ?? "application/octet-stream",
      "content-length": size === undefined ? undefined : String(size),
      "x-globalfs-checksum": options.sha256 === undefined ? undefined : `sha256:${options.sha256}`,
    };
    for (const [name, value] of Object.entries(options.metadata ?? {})) {
      // Headers carry bytes: the UTF-8 of the value goes out as it is.
      headers[`x-globalfs-meta-${name}`] = Buffer.from(value).toString("latin1");
    }
    const answer = await transport.text({
      method: "PUT",
      path,
      headers,
      body: content,
      expect: [200, 201, 202],
      ...callOptions(options),
    });
    const { pending_sites: pendingSites } = answer.status === 202 ? asRecord(parseJson(answer.text)) : {};
    return {
      etag: header(answer, "etag")?.replaceAll('"', ""),
      versionId: header(answer, "x-globalfs-version"),
      pendingSites: (pendingSites ?? []) as string[],
    };
  }

  /** Deleting what is not there succeeds, and says so. */
  async function remove(key: string, options: DeleteOptions = {}): Promise<DeleteResult> {
    const answer = await transport.text({
      method: "DELETE",
      path: keyPath(OBJECTS, key),
      headers: { "if-match": quoted(options.ifMatch) },
      expect: [204],
      ...callOptions(options),
    });
    const pending = header(answer, "x-globalfs-pending-sites");
    return {
      deleted: header(answer, "x-globalfs-deleted") === "1",
      pendingSites: pending === undefined ? [] : pending.split(", "),
    };
  }

  async function listPage(options: ListOptions = {}): Promise<ListPage> {
    const { prefix, delimiter, after, continuation, limit, others } = options;
    const answer = await transport.text({
      method: "GET",
      path: OBJECTS,
      query: { envelope: true, prefix, delimiter, after, continuation, limit, others },
      expect: [200, 207],
      ...callOptions(options),
    });
    return pageOf(parseJson(answer.text));
  }

  async function* pages(options: ListAllOptions = {}): AsyncGenerator<ListPage> {
    let { continuation } = options;
    const partial = new PartialListing(options.onPartial);
    do {
      const page = await listPage({ ...options, ...(continuation === undefined ? {} : { continuation }) });
      partial.tell(page.failedSites);
      yield page;
      continuation = page.continuation;
    } while (continuation !== undefined);
    partial.end();
  }

  async function* list(options: ListAllOptions = {}): AsyncGenerator<ObjectInfo> {
    for await (const page of pages(options)) yield* page.objects;
  }

  return { get, head, put, delete: remove, list, listPage, pages };
}

export function callOptions({ signal, timeoutMs }: CallOptions): CallOptions {
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

function quoted(etag: string | undefined): string | undefined {
  return etag === undefined || etag === "*" ? etag : `"${etag}"`;
}

function conditionHeaders(conditions: Conditions): Record<string, string | undefined> {
  return {
    "if-match": quoted(conditions.ifMatch),
    "if-none-match": quoted(conditions.ifNoneMatch),
    "if-modified-since": conditions.ifModifiedSince?.toUTCString(),
    "if-unmodified-since": conditions.ifUnmodifiedSince?.toUTCString(),
  };
}

function rangeText(range: GetOptions["range"]): string | undefined {
  if (range === undefined) return undefined;
  if ("suffix" in range) return `bytes=-${range.suffix}`;
  return `bytes=${range.start}-${range.end === undefined ? "" : range.end - 1}`;
}

async function contentOf(body: PutBody, size: number | undefined) {
  if (typeof body === "string") return { content: body, size: Buffer.byteLength(body) };
  if (body instanceof Uint8Array) return { content: body, size: body.length };
  if (typeof body === "function" || !("file" in body)) return { content: body, size };
  const { size: fileSize } = await stat(body.file);
  // The file may grow while it is read; what was announced is what is sent.
  const content = (): AsyncIterable<Uint8Array> =>
    fileSize === 0 ? emptyBody() : createReadStream(body.file, { end: fileSize - 1, highWaterMark: 256 * 1024 });
  return { content, size: fileSize };
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {
  // Nothing to send.
}
