import { s3Error } from "../wire/errors.ts";
import type { S3Request } from "../wire/request.ts";

const OVERRIDES: Readonly<Record<string, string>> = {
  "response-cache-control": "cache-control",
  "response-content-disposition": "content-disposition",
  "response-content-encoding": "content-encoding",
  "response-content-language": "content-language",
  "response-content-type": "content-type",
  "response-expires": "expires",
};

/** Headers of the answer that the address asks for. Only of those who sign: a link must not make our answers say what a stranger wants. */
export function responseOverrides({ query, identity }: S3Request): ReadonlyMap<string, string> | undefined {
  let found: Map<string, string> | undefined;
  for (const [name, value] of query) {
    if (!name.startsWith("response-")) continue;
    const header = OVERRIDES[name];
    if (header === undefined) {
      throw s3Error(
        "InvalidArgument",
        "InvalidArgument",
        `${name.slice(0, 100)} is not in the set of overridable response headers.`,
        {
          argumentName: name.slice(0, 100),
        },
      );
    }
    if (identity.kind === "anonymous") {
      throw s3Error(
        "InvalidArgument",
        "InvalidRequest",
        "Request specific response headers cannot be used for anonymous GET requests.",
      );
    }
    found ??= new Map();
    found.set(header, value);
  }
  return found;
}
