import { spanOf } from "../../../stores/index.ts";
import { rangesAsked } from "../../http/index.ts";
import { identifying } from "../wire/answer.ts";
import { expirationHeaders } from "./expiration-header.ts";
import { objectHeaders } from "./object-headers.ts";
import { partAsked } from "./object-part.ts";
import type { Operation } from "../wire/request.ts";
import { responseOverrides } from "./response-overrides.ts";
import { asksForChecksum, partHeaders, readOptions, refuseDecryption } from "./get-object.ts";

export const headObject: Operation = {
  name: "HeadObject",
  action: "s3:GetObject",
  bucket: "exists",
  async run(request, deps) {
    refuseDecryption(request);
    const { ctx, response, http, settings, path } = request;
    const { meta, notModified } = await deps.service.headObject(ctx, path, readOptions(request));
    const overrides = responseOverrides(request);
    const shape = { bucket: settings, ...(overrides === undefined ? {} : { overrides }) };
    if (notModified) {
      response.writeHead(304, [...identifying(ctx), ...objectHeaders(meta, { ...shape, checksums: false })]);
      response.end();
      return;
    }
    const part = await partAsked(request, deps, meta);
    const ranges = part === undefined ? rangesAsked(http.headers, meta) : undefined;
    const range = part?.span ?? (ranges?.length === 1 ? ranges[0] : undefined);
    const span = spanOf(range, meta.sizeBytes);
    response.writeHead(range === undefined ? 200 : 206, [
      ...identifying(ctx),
      ...objectHeaders(meta, { ...shape, checksums: range === undefined && asksForChecksum(request) }),
      ...expirationHeaders(request, meta),
      ...(part === undefined ? [] : partHeaders(request, part, meta)),
      ...(range === undefined ? [] : ["Content-Range", `bytes ${span.start}-${span.end - 1}/${meta.sizeBytes}`]),
      "Content-Length",
      String(span.end - span.start),
    ]);
    response.end();
  },
};
