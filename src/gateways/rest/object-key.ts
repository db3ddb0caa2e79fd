import { GfsError } from "../../core/errors.ts";

export const OBJECTS_PREFIX = "/api/v1/objects/";

/**
 * The key is what stands in the request line, percent-decoded once. Nothing is normalised: `..` is refused further in, and never
 * becomes another route.
 */
export function keyFromUrl(url: string, prefix: string): { readonly key: string; readonly query: URLSearchParams } {
  const mark = url.indexOf("?");
  const path = mark === -1 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1));
  try {
    return { key: decodeURIComponent(path.slice(prefix.length)), query };
  } catch {
    throw new GfsError("InvalidKey", "The key in the address is not percent-encoded UTF-8.");
  }
}
