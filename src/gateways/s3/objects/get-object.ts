import type { ObjectMeta, ObjectRead, OpenedRange, ReadOptions } from "../../../coordinator/service/objects.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { LifecycleRule } from "../../../namespace/types.ts";
import type { ByteRange } from "../../../stores/index.ts";
import { hasConditions, parseConditions, pump, rangesAsked } from "../../http/index.ts";
import { identifying } from "../wire/answer.ts";
import { expirationHeaders } from "./expiration-header.ts";
import { s3Error } from "../wire/errors.ts";
import { checksumHeaders, objectHeaders } from "./object-headers.ts";
import { partAsked, type PartSpan } from "./object-part.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";
import { responseOverrides } from "./response-overrides.ts";

const LOOKUPS = 10;

export const getObject: Operation = {
  name: "GetObject",
  action: "s3:GetObject",
  bucket: "exists",
  async run(request, deps) {
    refuseDecryption(request);
    if (answerAtOnce(request, deps)) return;
    // A file that changes between lookup and open is looked up again: the caller gets one version or the other, whole.
    for (let lookup = 1; ; lookup++) {
      const read = await deps.service.readObject(request.ctx, request.path, readOptions(request));
      try {
        await sendRead(request, deps, read);
        return;
      } catch (error) {
        if (!isGfsError(error, "Conflict") || request.response.headersSent) throw error;
        // S3 has no word for this on a read but one that makes clients ask again.
        if (lookup === LOOKUPS) {
          throw new GfsError("Unavailable", "The object is written again and again just now; try again in a moment.", {
            op: "s3.get",
            cause: error,
          });
        }
      }
    }
  },
};

const ENCRYPTION = "x-amz-server-side-encryption";
const KEY_OF_CLIENT = `${ENCRYPTION}-customer-algorithm`;

/** As S3 answers of an object that is not encrypted, which none here is. */
export function refuseDecryption({ http: { headers } }: S3Request): void {
  if (headers[ENCRYPTION] === undefined && headers[KEY_OF_CLIENT] === undefined) return;
  throw s3Error(
    "InvalidArgument",
    "InvalidRequest",
    "The encryption parameters are not applicable to this object: leave them out to read it.",
  );
}

export function readOptions({ http, query }: S3Request): ReadOptions {
  const conditions = parseConditions(http.headers);
  const versionId = query.get("versionId");
  return {
    ...(conditions === undefined ? {} : { conditions }),
    ...(versionId === undefined ? {} : { versionId }),
  };
}

/** Headers of objects that are asked for again and again, for as long as they are described by the same record. */
interface Prepared {
  readonly versioning: string;
  readonly checksums: boolean;
  /** The rules of the bucket, where it has any. */
  readonly rules: readonly LifecycleRule[] | undefined;
  readonly headers: readonly string[];
}
const prepared = new WeakMap<ObjectMeta, Prepared>();

/** A plain read of a small object that is in memory: nothing to wait for, and header and body leave in one write. */
function answerAtOnce(request: S3Request, { service }: S3Deps): boolean {
  const { http, query, ctx, response, settings } = request;
  const { headers } = http;
  if (headers.range !== undefined || hasConditions(headers)) return false;
  for (const name of query.keys()) if (!name.startsWith("X-Amz-") && name !== "x-id") return false;
  const found = service.peekObject(request.path);
  if (found === undefined) return false;
  const { meta, bytes } = found;
  const checksums = asksForChecksum(request);
  const versioning = settings?.versioning ?? "off";
  const rules = settings === undefined || settings.lifecycle.length === 0 ? undefined : settings.lifecycle;
  let known = prepared.get(meta);
  if (known?.versioning !== versioning || known.checksums !== checksums || known.rules !== rules) {
    known = {
      versioning,
      checksums,
      rules,
      headers: [
        ...objectHeaders(meta, { bucket: settings, checksums }),
        ...expirationHeaders(request, meta),
        "Content-Length",
        String(meta.sizeBytes),
      ],
    };
    prepared.set(meta, known);
  }
  response.writeHead(200, [...identifying(ctx), ...known.headers]);
  response.end(bytes);
  return true;
}

export function asksForChecksum({ http }: S3Request): boolean {
  return String(http.headers["x-amz-checksum-mode"] ?? "").toUpperCase() === "ENABLED";
}

async function sendRead(request: S3Request, deps: S3Deps, read: ObjectRead): Promise<void> {
  const { ctx, response, http, settings } = request;
  const { meta } = read;
  const overrides = responseOverrides(request);
  const shape = { bucket: settings, ...(overrides === undefined ? {} : { overrides }) };
  if (read.notModified) {
    response.writeHead(304, [...identifying(ctx), ...objectHeaders(meta, { ...shape, checksums: false })]);
    response.end();
    return;
  }
  const part = await partAsked(request, deps, meta);
  const range = part === undefined ? oneRange(rangesAsked(http.headers, meta)) : part.span;
  const headers = [
    ...identifying(ctx),
    ...objectHeaders(meta, { ...shape, checksums: range === undefined && asksForChecksum(request) }),
    ...expirationHeaders(request, meta),
    ...(part === undefined ? [] : partHeaders(request, part, meta)),
  ];
  const opened = await read.open(range);
  await sendRange(request, opened, { headers, range, sizeBytes: meta.sizeBytes });
}

/** S3 sends one range; whoever asks for several gets everything. */
function oneRange(ranges: readonly ByteRange[] | undefined): ByteRange | undefined {
  return ranges?.length === 1 ? ranges[0] : undefined;
}

export function partHeaders(request: S3Request, part: PartSpan, { details }: ObjectMeta): string[] {
  const headers = part.count === undefined ? [] : ["x-amz-mp-parts-count", String(part.count)];
  if (part.checksum !== undefined && details?.checksum !== undefined && asksForChecksum(request))
    headers.push(...checksumHeaders({ ...details.checksum, value: part.checksum }));
  return headers;
}

async function sendRange(
  { response, ctx }: S3Request,
  opened: OpenedRange,
  answer: { readonly headers: string[]; readonly range: ByteRange | undefined; readonly sizeBytes: number },
): Promise<void> {
  const { headers, range, sizeBytes } = answer;
  headers.push("Content-Length", String(opened.end - opened.start));
  if (range !== undefined) headers.push("Content-Range", `bytes ${opened.start}-${opened.end - 1}/${sizeBytes}`);
  response.writeHead(range === undefined ? 200 : 206, headers);
  if (opened.bytes !== undefined) {
    response.end(opened.bytes);
    return;
  }
  await pump(response, opened, ctx.signal);
  response.end();
}
