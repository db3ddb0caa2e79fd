import { childrenNamed, escapeXml, type XmlElement } from "../../../../core/xml.ts";
import { type CorsRule, corsRulesOf } from "../../access/cors.ts";
import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { allowOnly, integerOf, malformedXml, readConfiguration, textOf } from "../../wire/documents.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";

const METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD"];
const MAX_RULES = 100;
const MAX_ID = 255;

export const getBucketCors: Operation = {
  name: "GetBucketCors",
  action: "s3:GetBucketCORS",
  bucket: "exists",
  async run(request) {
    const rules = corsRulesOf(bucketOf(request));
    if (rules.length === 0) {
      throw s3Error("NotFound", "NoSuchCORSConfiguration", "The CORS configuration does not exist.");
    }
    sendXml(request, `<CORSConfiguration ${S3_NAMESPACE}>${rules.map(describe).join("")}</CORSConfiguration>`);
  },
};

export const putBucketCors: Operation = {
  name: "PutBucketCors",
  action: "s3:PutBucketCORS",
  bucket: "exists",
  async run(request, deps) {
    const document = await readConfiguration(request, "CORSConfiguration");
    allowOnly(document, ["CORSRule"]);
    const rules = childrenNamed(document, "CORSRule").map(readRule);
    if (rules.length === 0) throw malformedXml("has no CORSRule");
    if (rules.length > MAX_RULES) throw malformedXml(`has more than ${MAX_RULES} rules`);
    await changeBucket(request, deps, { documents: { cors: JSON.stringify(rules) } });
    sendEmpty(request);
  },
};

export const deleteBucketCors: Operation = {
  name: "DeleteBucketCors",
  action: "s3:PutBucketCORS",
  bucket: "exists",
  async run(request, deps) {
    await changeBucket(request, deps, { documents: { cors: null } });
    sendEmpty(request, 204);
  },
};

function readRule(element: XmlElement): CorsRule {
  allowOnly(element, ["ID", "AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds"]);
  const texts = (name: string): string[] => childrenNamed(element, name).map(({ text }) => text);
  const id = textOf(element, "ID");
  const maxAge = textOf(element, "MaxAgeSeconds");
  const origins = texts("AllowedOrigin");
  const methods = texts("AllowedMethod");
  const headers = texts("AllowedHeader");
  if (origins.length === 0 || methods.length === 0) throw malformedXml("needs AllowedOrigin and AllowedMethod");
  if (id !== undefined && id.length > MAX_ID) throw malformedXml(`has an ID of more than ${MAX_ID} characters`);
  for (const method of methods) {
    if (METHODS.includes(method)) continue;
    throw s3Error(
      "InvalidArgument",
      "InvalidRequest",
      `Found unsupported HTTP method in CORS config. Unsupported method is ${method.slice(0, 20)}`,
    );
  }
  for (const pattern of [...origins, ...headers]) {
    if (pattern.split("*").length <= 2) continue;
    throw s3Error("InvalidArgument", "InvalidRequest", "An AllowedOrigin or AllowedHeader has at most one wildcard.");
  }
  const maxAgeSeconds = maxAge === undefined ? undefined : integerOf(maxAge);
  if (maxAge !== undefined && (maxAgeSeconds === undefined || maxAgeSeconds < 0)) {
    throw malformedXml("has a MaxAgeSeconds that is no number");
  }
  return {
    origins,
    methods,
    headers,
    expose: texts("ExposeHeader"),
    ...(id === undefined ? {} : { id }),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  };
}

function describe({ id, origins, methods, headers, expose, maxAgeSeconds }: CorsRule): string {
  const many = (name: string, values: readonly string[]): string =>
    values.map((value) => `<${name}>${escapeXml(value)}</${name}>`).join("");
  return `<CORSRule>${id === undefined ? "" : many("ID", [id])}${many("AllowedOrigin", origins)}${many("AllowedMethod", methods)}${many("AllowedHeader", headers)}${many("ExposeHeader", expose)}${maxAgeSeconds === undefined ? "" : `<MaxAgeSeconds>${maxAgeSeconds}</MaxAgeSeconds>`}</CORSRule>`;
}
