import { timeOfAmzDate, timeOfHttpDate } from "./dates.ts";
import { denied, invalidArgument, noDate } from "./failures.ts";

/** What a request with Signature Version 2 says of who signed it, before anything of it has been checked. */
export type ClaimV2 = HeaderClaimV2 | QueryClaimV2;

interface AnyClaimV2 {
  readonly version: "AWS";
  readonly accessKeyId: string;
  /** In base64, as it came. */
  readonly signature: string;
}

export interface HeaderClaimV2 extends AnyClaimV2 {
  readonly place: "header";
  /** Of `x-amz-date` where that came, else of `Date`, as it is written. */
  readonly date: string;
  readonly isAmzDate: boolean;
  readonly signedMs: number;
}

export interface QueryClaimV2 extends AnyClaimV2 {
  readonly place: "query";
  /** Seconds since 1970, as they are written. */
  readonly expires: string;
}

const ACCESS_KEY = "AWSAccessKeyId";
const SIGNATURE = "Signature";
const EXPIRES = "Expires";

export function isPresignedV2(query: ReadonlyMap<string, string>): boolean {
  return query.has(ACCESS_KEY) || query.has(SIGNATURE);
}

export function claimV2OfHeader(authorization: string, headers: ReadonlyMap<string, string>): HeaderClaimV2 {
  const [, accessKeyId, signature] = /^AWS ([^\s:]+):(\S+)$/.exec(authorization) ?? [];
  if (accessKeyId === undefined || signature === undefined) {
    throw invalidArgument(
      "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
      "Authorization",
      "AWS",
    );
  }
  const amzDate = headers.get("x-amz-date")?.trim();
  const date = amzDate ?? headers.get("date")?.trim() ?? "";
  const signedMs = timeOfHttpDate(date) ?? timeOfAmzDate(date);
  if (signedMs === undefined) throw noDate();
  return { version: "AWS", place: "header", accessKeyId, signature, date, isAmzDate: amzDate !== undefined, signedMs };
}

export function claimV2OfQuery(query: ReadonlyMap<string, string>): QueryClaimV2 {
  const take = (name: string): string => {
    const value = query.get(name);
    if (value !== undefined && value !== "") return value;
    throw denied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters");
  };
  const accessKeyId = take(ACCESS_KEY);
  const expires = take(EXPIRES);
  // Base64 has no spaces, but a plus that nobody encoded.
  const signature = take(SIGNATURE).replaceAll(" ", "+");
  if (!/^\d{1,12}$/.test(expires)) {
    throw denied(`Invalid date (should be seconds since epoch): ${expires.slice(0, 32)}`);
  }
  return { version: "AWS", place: "query", accessKeyId, signature, expires };
}
