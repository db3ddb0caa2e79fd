import { GfsError } from "../../../core/errors.ts";

export type S3Credentials =
  | { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string }
  | { readonly profile: string }
  /** Requests go out unsigned: public buckets. */
  | "anonymous";

export interface S3StoreConfig {
  readonly bucket: string;
  /** Default: the bucket's own, as AWS tells it; `us-east-1` for other endpoints. */
  readonly region?: string;
  /** Default: AWS. GCS by its HMAC keys: `https://storage.googleapis.com`. */
  readonly endpoint?: string;
  /** `auto`: path style for endpoints other than AWS and for buckets with dots. */
  readonly pathStyle?: "auto" | "path" | "virtual";
  /** Default: environment, shared profile, web identity, container or instance role, in the order of the AWS SDK. */
  readonly credentials?: S3Credentials;
  /** All keys lie below this one; callers do not see it. */
  readonly prefix?: string;
  /** What larger objects are cut into; 5 MiB at least. Default: 8 MiB. */
  readonly partSizeBytes?: number;
  /** How many parts of one write are under way at once. Default: 8. */
  readonly parallelParts?: number;
  /** What all writes together may buffer beyond one part each. Default: 128 MiB. */
  readonly uploadBufferBytes?: number;
  /** Default: 64. */
  readonly maxConnections?: number;
  /** Default: 10 seconds. */
  readonly connectTimeoutMs?: number;
}

export const MIB = 1024 * 1024;
export const MIN_PART_BYTES = 5 * MIB;
export const MAX_PART_BYTES = 5 * 1024 * MIB;
export const MAX_PARTS = 10_000;
export const MAX_OBJECT_BYTES = 5 * 1024 * 1024 * MIB;

/** Where requests go, and how a key becomes a path there. */
export interface S3Endpoint {
  readonly origin: string;
  readonly host: string;
  readonly region: string;
  /** What precedes `/key`: empty in virtual-host style. */
  readonly bucketPath: string;
  /** Whether the region is part of the host name. */
  readonly regional: boolean;
}

const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._:-]{1,254}$/;

/** What becomes part of a host name: nothing in it may end the host, or begin another one. */
const BUCKET_IN_HOST = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i;
const REGION = /^[a-z0-9-]{1,64}$/;

export function isRegion(region: string): boolean {
  return REGION.test(region);
}

/** The region that requests are signed for until the endpoint says another one. */
export function firstRegion(config: S3StoreConfig): string {
  return config.region ?? process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? "us-east-1";
}

export function resolveEndpoint(config: S3StoreConfig, region: string = firstRegion(config)): S3Endpoint {
  const { bucket } = config;
  if (!BUCKET.test(bucket)) throw invalid(`"${bucket.slice(0, 80)}" is not the name of a bucket.`);
  if (!isRegion(region)) {
    throw invalid(`"${region.slice(0, 80)}" is not the name of a region; write lower-case letters, digits and dashes.`);
  }
  const regional = config.endpoint === undefined;
  const base = parseEndpoint(
    config.endpoint ?? `https://s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`,
  );
  const style = config.pathStyle ?? "auto";
  const virtual = style === "virtual" || (style === "auto" && regional && !bucket.includes("."));
  const prefix = base.pathname.replace(/\/+$/, "");
  if (!virtual) return { origin: base.origin, host: base.host, region, bucketPath: `${prefix}/${bucket}`, regional };
  if (!BUCKET_IN_HOST.test(bucket)) {
    throw invalid(`"${bucket}" cannot be part of a host name; put the bucket in the path (path_style: true).`);
  }
  const host = `${bucket}.${base.host}`;
  return {
    origin: `${base.protocol}//${host}`,
    host: new URL(`${base.protocol}//${host}`).host,
    region,
    bucketPath: prefix,
    regional,
  };
}

/** In the form that is put before keys: empty, or ending in a slash. */
export function normalisePrefix(prefix: string | undefined): string {
  const bare = (prefix ?? "").replace(/^\/+/, "").replace(/\/+$/, "");
  return bare === "" ? "" : `${bare}/`;
}

export function checkSizes(config: S3StoreConfig): void {
  const { partSizeBytes, parallelParts, uploadBufferBytes, maxConnections } = config;
  if (partSizeBytes !== undefined && !(partSizeBytes >= MIN_PART_BYTES && partSizeBytes <= MAX_PART_BYTES)) {
    throw invalid(`A part has between 5 MiB and 5 GiB, not ${partSizeBytes} bytes.`);
  }
  for (const [name, value] of Object.entries({ parallelParts, uploadBufferBytes, maxConnections })) {
    if (value !== undefined && !(Number.isInteger(value) && value > 0))
      throw invalid(`${name} must be above zero, not ${value}.`);
  }
}

function parseEndpoint(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw invalid(`"${endpoint}" is not the address of an S3 endpoint; write it like https://s3.example.com.`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw invalid("The address of an S3 endpoint holds no user name and no query; give credentials on their own.");
  }
  return url;
}

function invalid(message: string): GfsError {
  return new GfsError("ConfigInvalid", message, { op: "s3.config" });
}
