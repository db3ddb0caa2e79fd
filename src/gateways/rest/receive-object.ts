import type { IncomingMessage } from "node:http";
import { GfsError } from "../../core/errors.ts";
import type { Conditions, CoordinatorService, PutRequest } from "../../coordinator/index.ts";
import { incomingBody, type Pace } from "../http/index.ts";
import { parseChecksums, parseMetadata } from "./http-headers.ts";
import type { RequestScope } from "./request-scope.ts";

export interface Upload {
  readonly key: string;
  readonly conditions: Conditions | undefined;
  readonly pace: Pace;
  /** The client waits for a word before it sends the body. */
  readonly expectsContinue: boolean;
  readonly owner: string | undefined;
}

export async function receiveObject(service: CoordinatorService, scope: RequestScope, upload: Upload): Promise<void> {
  const { request, response, ctx } = scope;
  const put = putRequestOf(request, upload, () => {
    if (upload.expectsContinue) response.writeContinue();
  });
  const { meta, pendingSites } = await service.putObject(ctx, put);
  const body = JSON.stringify({
    key: meta.key,
    size: meta.sizeBytes,
    etag: meta.etag,
    last_modified: new Date(meta.modifiedMs).toISOString(),
    version_id: meta.versionId,
    ...(meta.sha256 === undefined ? {} : { checksum: `sha256:${meta.sha256}` }),
    ...(pendingSites.length === 0 ? {} : { pending_sites: pendingSites }),
  });
  const headers = [
    "Content-Type",
    "application/json",
    "Content-Length",
    String(Buffer.byteLength(body)),
    "ETag",
    `"${meta.etag}"`,
    "X-Request-ID",
    ctx.requestId,
  ];
  if (meta.sha256 !== undefined) headers.push("X-GlobalFS-Checksum", `sha256:${meta.sha256}`);
  if (meta.versionId !== "") headers.push("X-GlobalFS-Version", meta.versionId);
  if (pendingSites.length > 0)
    headers.push("X-GlobalFS-Replication", "pending", "X-GlobalFS-Pending-Sites", pendingSites.join(", "));
  response.writeHead(pendingSites.length === 0 ? 201 : 202, headers);
  response.end(body);
}

function putRequestOf(request: IncomingMessage, upload: Upload, onFirstRead: () => void): PutRequest {
  const { headers } = request;
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new GfsError(
      "Unsupported",
      "Content-Encoding is not kept; send the bytes as they are to be stored, without the header.",
    );
  }
  if (headers["content-range"] !== undefined)
    throw new GfsError("Unsupported", "An object is written as a whole; leave out Content-Range.");
  const length = headers["content-length"];
  const sizeBytes = length === undefined ? undefined : Number(length);
  const expected = parseChecksums(headers);
  const contentType = headers["content-type"];
  return {
    key: upload.key,
    body: incomingBody(request, { ...upload.pace, onFirstRead }),
    metadata: parseMetadata(headers),
    ...(upload.owner === undefined ? {} : { owner: upload.owner }),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(expected === undefined ? {} : { expected }),
    ...(upload.conditions === undefined ? {} : { conditions: upload.conditions }),
  };
}
