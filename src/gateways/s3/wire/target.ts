import { GfsError } from "../../../core/errors.ts";
import type { Target } from "./request.ts";

/**
 * What the address names, in either style: `/bucket/key`, or the bucket as part of the host. The key is percent-decoded once and nothing is
 * normalised, so that `..` never becomes another route; in the query a plus is a space.
 */
export function parseTarget(
  request: { readonly method?: string | undefined; readonly url?: string | undefined; readonly host: string },
  domains: readonly string[],
): Target {
  const url = withoutOrigin(request.url ?? "/");
  const mark = url.indexOf("?");
  const path = decode(mark === -1 ? url : url.slice(0, mark)).slice(1);
  const query = mark === -1 ? NO_QUERY : parseQuery(url.slice(mark + 1));
  const method = request.method ?? "";
  const hosted = bucketOfHost(request.host, domains);
  if (hosted !== undefined) return { method, bucket: hosted, key: path, query };
  const slash = path.indexOf("/");
  if (slash === -1) return { method, bucket: path, key: "", query };
  return { method, bucket: path.slice(0, slash), key: path.slice(slash + 1), query };
}

const NO_QUERY: ReadonlyMap<string, string> = new Map();
const MAX_PARAMETERS = 64;

/** RFC 9112 section 3.2.2: a proxy's form of the address names the host once more. */
function withoutOrigin(url: string): string {
  if (url.startsWith("/")) return url;
  const match = /^https?:\/\/[^/?]*(.*)$/i.exec(url);
  if (match === null) throw unreadable();
  const rest = match[1] as string;
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function parseQuery(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  for (const pair of text.split("&", MAX_PARAMETERS + 1)) {
    if (pair === "") continue;
    if (query.size === MAX_PARAMETERS)
      throw new GfsError("InvalidArgument", `The address has more than ${MAX_PARAMETERS} parameters.`);
    const equals = pair.indexOf("=");
    const name = decodeForm(equals === -1 ? pair : pair.slice(0, equals));
    if (!query.has(name)) query.set(name, equals === -1 ? "" : decodeForm(pair.slice(equals + 1)));
  }
  return query;
}

function decodeForm(text: string): string {
  return decode(text.includes("+") ? text.replaceAll("+", " ") : text);
}

function decode(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw unreadable();
  }
}

function unreadable(): GfsError {
  return new GfsError("InvalidKey", "The address is not percent-encoded UTF-8.", { context: { s3: "InvalidURI" } });
}

/** `bucket.domain` for one of our domains; a host that is none of them is path style, whatever it is. */
function bucketOfHost(host: string, domains: readonly string[]): string | undefined {
  if (domains.length === 0) return undefined;
  const name = host.replace(/:\d+$/, "").toLowerCase();
  for (const domain of domains) {
    if (name.length > domain.length + 1 && name.endsWith(`.${domain}`)) return name.slice(0, -domain.length - 1);
  }
  return undefined;
}
