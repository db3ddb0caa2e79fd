import { uriEncodePath } from "../../../core/sigv4.ts";
import { originOf } from "../../http/index.ts";
import type { S3Request } from "./request.ts";

/** The address of the request, as the client reached it; `below` is a key for requests that name none in their path. */
export function locationOf({ http }: Pick<S3Request, "http">, below = ""): string {
  const scheme = originOf(http).tlsVersion !== undefined ? "https" : "http";
  const path = (http.url ?? "/").split("?")[0] ?? "/";
  const key = below === "" ? "" : `${path.endsWith("/") ? "" : "/"}${uriEncodePath(below)}`;
  return `${scheme}://${http.headers.host ?? "localhost"}${path}${key}`;
}
