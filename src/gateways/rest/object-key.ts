import { GfsError } from "../../core/errors.ts";

export const OBJECTS_PREFIX = "/api/v1/objects/";

/**
 * The key is what stands in the request line, percent-decoded once. Nothing is normalised: `..` is refused further in, and never
 * becomes another route.
 */
export function keyFromUrl(url: string, prefix: string): string {
  const mark = url.indexOf("?");
  try {
    return decodeURIComponent(url.slice(prefix.length, mark === -1 ? undefined : mark));
  } catch {
    throw new GfsError("InvalidKey", "The key in the address is not percent-encoded UTF-8.");
  }
}
