import type { IncomingMessage, ServerResponse } from "node:http";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import { EMPTY_SHA256, SigningKeys } from "../../../core/sigv4.ts";
import { ANONYMOUS, identityOf } from "../../../security/index.ts";
import type { Target } from "../wire/request.ts";
import { headerMap } from "./canonical.ts";
import { type Claim, claimOf } from "./claim.ts";
import type { ClaimV2 } from "./claim-v2.ts";
import { invalidAccessKeyId, invalidRequest, denied } from "./failures.ts";
import { authenticateForm, isPostForm } from "./form.ts";
import { paceOf } from "./pace.ts";
import { GatedBody } from "./gated-body.ts";
import { type Payload, payloadOf, withoutChunked } from "./payload.ts";
import type { Authenticated, Gate, GateDeps } from "./types.ts";
import { checkAllSigned, checkRegion, checkSignature, checkTime, checkToken } from "./verify.ts";
import { checkSignatureV2, checkTimeV2, movedHeaders } from "./verify-v2.ts";

/** Users times two days; each key takes some hundred bytes. */
const MAX_SIGNING_KEYS = 2_048;

export function createGate(deps: GateDeps): Gate {
  const { findAccessKey, clock, settings } = deps;
  const keys = new SigningKeys(MAX_SIGNING_KEYS);
  const pace = { ...paceOf(settings), ...(deps.turns === undefined ? {} : { turns: deps.turns }) };

  const accept = (request: Arrived, claim: Claim, key: KnownAccessKey | undefined): Authenticated => {
    const { http, headers, payload } = request;
    if (key === undefined) throw invalidAccessKeyId(claim.accessKeyId);
    const nowMs = clock.nowMs();
    checkRegion(claim, settings.region);
    checkTime(claim, nowMs);
    checkAllSigned(claim, headers);
    const signed = checkSignature(claim, key, keys, { http, headers, payload: payload.declared });
    checkToken(key, claim.sessionToken, nowMs);
    if (claim.place === "query") showAsHeaders(http, request.target.query);
    const { accessKeyId, amzDate, signature } = claim;
    return {
      identity: identityOf(key, { version: claim.version, place: claim.place }),
      body: bodyOf(request, { ...signed, accessKeyId, amzDate, signature }),
    };
  };

  const acceptV2 = (request: Arrived, claim: ClaimV2, key: KnownAccessKey | undefined): Authenticated => {
    const { http, headers, target } = request;
    if (key === undefined) throw invalidAccessKeyId(claim.accessKeyId);
    const nowMs = clock.nowMs();
    checkTimeV2(claim, nowMs);
    checkSignatureV2(claim, key, { http, headers, target });
    checkToken(key, headers.get("x-amz-security-token"), nowMs);
    for (const [name, value] of request.moved) http.headers[name] = value;
    return {
      identity: identityOf(key, { version: claim.version, place: claim.place }),
      body: bodyOf(request, undefined),
    };
  };

  /** The body goes unsigned, and what is said of it in headers is signed and checked. */
  const enterV2 = (arrived: Omit<Arrived, "payload">, claim: ClaimV2): Authenticated | Promise<Authenticated> => {
    const moved = claim.place === "query" ? movedHeaders(arrived.headers, arrived.target.query) : NONE;
    const headers = moved.size === 0 ? arrived.headers : new Map([...arrived.headers, ...moved]);
    const payload = payloadOf(headers, arrived.target);
    if (payload.framing !== "plain") {
      throw invalidRequest("aws-chunked payloads are not supported with Signature Version 2; use AWS4-HMAC-SHA256.");
    }
    const request = { ...arrived, headers, moved, payload };
    const key = findAccessKey(claim.accessKeyId);
    return key instanceof Promise
      ? key.then((found) => acceptV2(request, claim, found))
      : acceptV2(request, claim, key);
  };

  const bodyOf = (
    { http, response, payload }: Arrived,
    seed: ConstructorParameters<typeof GatedBody>[0]["seed"],
    deadlineMs?: number,
  ) => {
    const encoding = http.headers["content-encoding"];
    if (encoding !== undefined && /aws-chunked/i.test(encoding)) {
      const rest = withoutChunked(encoding);
      if (rest === undefined) delete http.headers["content-encoding"];
      else http.headers["content-encoding"] = rest;
    }
    return new GatedBody({ http, response, payload, seed, pace, deadlineMs });
  };

  return {
    authenticate(http, response, target) {
      const headers = headerMap(http.rawHeaders);
      refuseRepeated(http, headers);
      const claim = claimOf({ headers, query: target.query }, settings);
      if (claim === undefined && isPostForm(http, target))
        return authenticateForm({ ...deps, keys }, { http, response, target });
      const arrived = { http, response, headers, moved: NONE, target };
      if (claim?.version === "AWS") return enterV2(arrived, claim);
      const payload = payloadOf(headers, target);
      if (claim === undefined) {
        if (payload.framing === "signed-chunks" || payload.framing === "signed-chunks-trailer") {
          throw denied("Chunks are signed here, but the request is not.");
        }
        return { identity: ANONYMOUS, body: bodyOf({ ...arrived, payload }, undefined, settings.strangerBodyMs) };
      }
      const request: Arrived = { ...arrived, payload: claim.place === "header" ? declared(payload, headers) : payload };
      const key = findAccessKey(claim.accessKeyId);
      return key instanceof Promise ? key.then((found) => accept(request, claim, found)) : accept(request, claim, key);
    },
  };
}

interface Arrived {
  readonly http: IncomingMessage;
  readonly response: ServerResponse;
  readonly headers: ReadonlyMap<string, string>;
  /** Those among them that stood in the query. */
  readonly moved: ReadonlyMap<string, string>;
  readonly payload: Payload;
  readonly target: Target;
}

/** Without a body there is nothing to say of one, and some clients leave the header out then, curl 7.88 among them. */
function declared(payload: Payload, headers: ReadonlyMap<string, string>): Payload {
  if (payload.declared !== undefined) return payload;
  if (headers.has("transfer-encoding") || (payload.sizeBytes ?? 0) > 0) {
    throw invalidRequest(
      "Missing required header for this request: x-amz-content-sha256. A request with a body says with it how the body is signed, UNSIGNED-PAYLOAD at least.",
    );
  }
  return { ...payload, declared: EMPTY_SHA256 };
}

const NONE: ReadonlyMap<string, string> = new Map();

/** What says something of the body or of the signature means in a query what it says; everything else is a header that could not be sent. */
const NO_HEADER =
  /^x-amz-(?:algorithm|checksum-.*|content-sha256|credential|date|expires|sdk-.*|security-token|signature|signedheaders|trailer)$/;

/** Amazon's tools put headers such as `x-amz-acl` into the query of a presigned address, where they are signed as well. */
function showAsHeaders({ headers }: IncomingMessage, query: Target["query"]): void {
  for (const [name, value] of query) {
    const header = name.toLowerCase();
    if (!header.startsWith("x-amz-") || NO_HEADER.test(header) || headers[header] !== undefined) continue;
    headers[header] = Buffer.from(value).toString("latin1");
  }
}

/** One of two equal headers would be checked and the other one used. */
const ONCE = ["authorization", "host", "x-amz-date", "x-amz-content-sha256", "x-amz-decoded-content-length"];

function refuseRepeated(http: IncomingMessage, headers: ReadonlyMap<string, string>): void {
  if (headers.size * 2 !== http.rawHeaders.length) {
    const { rawHeaders } = http;
    for (const once of ONCE) {
      let seen = 0;
      for (let index = 0; index < rawHeaders.length; index += 2) {
        if ((rawHeaders[index] as string).toLowerCase() === once) seen += 1;
      }
      if (seen > 1) throw invalidRequest(`The header ${once} came more than once.`);
    }
  }
}
