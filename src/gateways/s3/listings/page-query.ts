import { escapeXml } from "../../../core/xml.ts";
import { s3Error } from "../wire/errors.ts";
import type { S3Request } from "../wire/request.ts";

/** The parameters that all listings share, and how they come back. */

export const MAX_PAGE = 1_000;

export function pageSize(query: ReadonlyMap<string, string>, name: string, max = MAX_PAGE): number {
  const text = query.get(name);
  if (text === undefined || text === "") return max;
  if (!/^\d{1,10}$/.test(text)) {
    throw s3Error("InvalidArgument", "InvalidArgument", `${name} must be an integer from 0 to 2147483647.`, {
      argumentName: name,
      argumentValue: text.slice(0, 100),
    });
  }
  return Math.min(Number(text), max);
}

/** An empty delimiter is none. */
export function delimiterOf(query: ReadonlyMap<string, string>): string | undefined {
  const delimiter = query.get("delimiter");
  return delimiter === "" ? undefined : delimiter;
}

export interface KeyWriter {
  /** As the element shows it: percent-encoded when the client asked for it, escaped for XML otherwise. */
  (text: string): string;
}

export function keyWriter({ query }: Pick<S3Request, "query">): { readonly write: KeyWriter; readonly xml: string } {
  const type = query.get("encoding-type");
  if (type === undefined || type === "") return { write: escapeXml, xml: "" };
  if (type !== "url") {
    throw s3Error("InvalidArgument", "InvalidArgument", "Invalid Encoding Method specified in Request", {
      argumentName: "encoding-type",
      argumentValue: type.slice(0, 100),
    });
  }
  return { write: encodeKey, xml: "<EncodingType>url</EncodingType>" };
}

const PLAIN = /^[A-Za-z0-9_.~/*-]*$/;

/** Slashes stay, as S3 leaves them. */
function encodeKey(key: string): string {
  if (PLAIN.test(key)) return key;
  return encodeURIComponent(key)
    .replaceAll("%2F", "/")
    .replaceAll(/[!'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function commonPrefixes(prefixes: readonly string[], write: KeyWriter): string {
  return prefixes.map((prefix) => `<CommonPrefixes><Prefix>${write(prefix)}</Prefix></CommonPrefixes>`).join("");
}
