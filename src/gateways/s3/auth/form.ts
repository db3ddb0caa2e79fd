import type { IncomingMessage, ServerResponse } from "node:http";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import { isChecksumValue } from "../../../core/checksums.ts";
import { SIGV4_ALGORITHM, signatureOf, type SigningKeys } from "../../../core/sigv4.ts";
import { type Deadline, incomingBody } from "../../http/index.ts";
import { ANONYMOUS, identityOf, type Proof } from "../../../security/index.ts";
import type { Target } from "../wire/request.ts";
import { scopeOf } from "./claim.ts";
import { timeOfAmzDate } from "./dates.ts";
import {
  invalidAccessKeyId,
  invalidArgument,
  invalidDigest,
  invalidRequest,
  queryMalformed,
  onlySignatureV4,
  signatureDoesNotMatch,
} from "./failures.ts";
import { type FileChecks, FormBody } from "./form-body.ts";
import { isForm, readForm } from "./form-reader.ts";
import { paceOf } from "./pace.ts";
import { ALGORITHM_OF_HEADER } from "./payload.ts";
import { checkPostPolicy, parsePostPolicy, type PostPolicy } from "./post-policy.ts";
import type { Authenticated, GateDeps } from "./types.ts";
import { checkRegion, checkToken, sameText } from "./verify.ts";
import { signatureV2Of } from "./verify-v2.ts";

/** A form that a browser sends to a bucket: its fields carry the signature, over a policy that says what they may be. */
export function isPostForm(http: IncomingMessage, target: Target): boolean {
  return (
    http.method === "POST" &&
    target.bucket !== "" &&
    target.key === "" &&
    target.query.size === 0 &&
    isForm(http.headers["content-type"])
  );
}

export interface FormRequest {
  readonly http: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
}

type FormDeps = GateDeps & { readonly keys: SigningKeys };

/**
 * Reads the fields, checks signature and policy, and leaves the file to the operation. From then on `http.headers` looks as those of a PUT of
 * the same object would: what the fields say, and nothing that came beside them unsigned.
 */
export async function authenticateForm(deps: FormDeps, request: FormRequest): Promise<Authenticated> {
  const { http, response, target } = request;
  const { formHeadMs, strangerBodyMs } = deps.settings;
  // Nobody knows yet who sends it.
  const deadline: Deadline = { atMs: formHeadMs === undefined ? undefined : performance.now() + formHeadMs };
  const wire = incomingBody(http, {
    ...paceOf(deps.settings),
    ...(deps.turns === undefined ? {} : { turns: deps.turns }),
    deadline,
    onFirstRead: () => {
      if (http.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
    },
  });
  // A file that nobody reads, because the request is refused, must not keep its idle timer.
  response.once("close", () => void wire.return(undefined).catch(() => undefined));
  const form = await readForm(wire, http.headers["content-type"] ?? "");
  const key = form.fields.get("key");
  if (key === undefined || key === "") throw missingField("key");
  const fields = new Map(form.fields).set(
    "key",
    key.replaceAll("${filename}", () => form.fileName),
  );
  const { policy, accessKey } = await authorOf(deps, fields);
  if (policy !== undefined) {
    checkPostPolicy(policy, new Map(fields).set("bucket", target.bucket), deps.clock.nowMs());
  }
  deadline.atMs =
    accessKey === undefined && strangerBodyMs !== undefined ? performance.now() + strangerBodyMs : undefined;
  const checks = checksOf(fields, policy);
  showAsHeaders(http, fields);
  return {
    identity: accessKey === undefined ? ANONYMOUS : identityOf(accessKey, proofOf(fields)),
    body: new FormBody({ fields }, form.file, checks),
    key: fields.get("key") as string,
  };
}

function proofOf(fields: ReadonlyMap<string, string>): Proof {
  return { version: fields.has("x-amz-signature") ? SIGV4_ALGORITHM : "AWS", place: "form" };
}

interface Author {
  readonly policy?: PostPolicy;
  readonly accessKey?: KnownAccessKey;
}

async function authorOf(deps: FormDeps, fields: ReadonlyMap<string, string>): Promise<Author> {
  const encoded = fields.get("policy");
  const signature = fields.get("x-amz-signature") ?? fields.get("signature");
  if (encoded === undefined && signature === undefined && !fields.has("awsaccesskeyid")) return {};
  if (encoded === undefined) throw missingField("policy");
  if (signature === undefined) throw missingField(fields.has("awsaccesskeyid") ? "signature" : "x-amz-signature");
  const accessKey = fields.has("x-amz-signature")
    ? await verifyForm(deps, fields, { encoded, signature })
    : await verifyOldForm(deps, fields, { encoded, signature });
  checkToken(accessKey, fields.get("x-amz-security-token"), deps.clock.nowMs());
  return { policy: parsePostPolicy(encoded), accessKey };
}

interface SignedPolicy {
  readonly encoded: string;
  readonly signature: string;
}

async function verifyForm(
  { keys, settings, findAccessKey }: FormDeps,
  fields: ReadonlyMap<string, string>,
  { encoded, signature }: SignedPolicy,
): Promise<KnownAccessKey> {
  if (fields.get("x-amz-algorithm") !== SIGV4_ALGORITHM) {
    throw invalidArgument(
      'x-amz-algorithm only supports "AWS4-HMAC-SHA256".',
      "x-amz-algorithm",
      fields.get("x-amz-algorithm") ?? "",
    );
  }
  const date = fields.get("x-amz-date") ?? "";
  if (timeOfAmzDate(date) === undefined)
    throw invalidArgument("x-amz-date must look like 20130524T000000Z.", "x-amz-date", date);
  const credential = fields.get("x-amz-credential");
  if (credential === undefined) throw missingField("x-amz-credential");
  const scope = scopeOf(credential, date, (message, context) =>
    queryMalformed(`Error parsing the x-amz-credential field; ${message}`, context),
  );
  checkRegion({ place: "query", region: scope.region }, settings.region);
  const key = await findAccessKey(scope.accessKeyId);
  if (key === undefined) throw invalidAccessKeyId(scope.accessKeyId);
  const signingKey = keys.keyFor({ secret: key.secret, day: scope.day, region: scope.region });
  if (!sameText(signatureOf(signingKey, encoded), signature)) throw signatureDoesNotMatch(scope.accessKeyId);
  return key;
}

/** Where the older signature is taken at all. */
async function verifyOldForm(
  { settings, findAccessKey }: FormDeps,
  fields: ReadonlyMap<string, string>,
  { encoded, signature }: SignedPolicy,
): Promise<KnownAccessKey> {
  if (!settings.signatureV2) throw onlySignatureV4();
  const accessKeyId = fields.get("awsaccesskeyid");
  if (accessKeyId === undefined) throw missingField("AWSAccessKeyId");
  const key = await findAccessKey(accessKeyId);
  if (key === undefined) throw invalidAccessKeyId(accessKeyId);
  if (!sameText(signatureV2Of(key.secret, encoded), signature)) throw signatureDoesNotMatch(accessKeyId);
  return key;
}

function checksOf(fields: ReadonlyMap<string, string>, policy: PostPolicy | undefined): FileChecks {
  const md5 = fields.get("content-md5");
  const md5Bytes = md5 === undefined ? undefined : Buffer.from(md5, "base64");
  if (md5Bytes !== undefined && md5Bytes.byteLength !== 16) throw invalidDigest();
  let checksum: FileChecks["checksum"];
  for (const [name, algorithm] of Object.entries(ALGORITHM_OF_HEADER)) {
    const value = fields.get(name);
    if (value === undefined) continue;
    if (checksum !== undefined) throw invalidRequest("Expecting a single x-amz-checksum- field.");
    if (!isChecksumValue(algorithm, value)) throw invalidRequest(`Value for ${name} field is invalid.`);
    checksum = { algorithm, value };
  }
  return {
    minBytes: policy?.minBytes ?? 0,
    maxBytes: policy?.maxBytes ?? Number.MAX_SAFE_INTEGER,
    ...(md5Bytes === undefined ? {} : { md5Hex: md5Bytes.toString("hex") }),
    ...(checksum === undefined ? {} : { checksum }),
  };
}

const CONTENT_FIELDS: readonly string[] = [
  "content-type",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-md5",
  "expires",
];
/** Said by the signature, not by the object. */
const SIGNATURE_FIELDS: ReadonlySet<string> = new Set([
  "x-amz-algorithm",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-signature",
  "x-amz-security-token",
]);

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

function showAsHeaders({ headers }: IncomingMessage, fields: ReadonlyMap<string, string>): void {
  for (const name of Object.keys(headers)) {
    if (name.startsWith("x-amz-") || CONTENT_FIELDS.includes(name)) delete headers[name];
  }
  for (const [name, value] of fields) {
    const isKept = CONTENT_FIELDS.includes(name) || (name.startsWith("x-amz-") && !isNoProperty(name));
    // Headers are bytes, one character each.
    if (isKept) headers[name] = Buffer.from(value).toString("latin1");
  }
  const accessList = fields.get("acl");
  if (accessList !== undefined) headers["x-amz-acl"] = accessList;
}

function isNoProperty(name: string): boolean {
  return SIGNATURE_FIELDS.has(name) || name.startsWith("x-amz-copy-") || !HEADER_NAME.test(name);
}

function missingField(name: string): Error {
  return invalidArgument(
    `Bucket POST must contain a field named '${name}'. If it is specified, please check the order of the fields.`,
    name,
    "",
  );
}
