import { s3Error } from "../wire/errors.ts";
import { checkTag, invalidTag } from "./tag-rules.ts";

const MAX_TAGS = 10;

/** `x-amz-tagging`: the form of a query, `a=1&b=2`. */
export function parseTaggingHeader(header: string): Record<string, string> {
  const tags: Record<string, string> = Object.create(null) as Record<string, string>;
  let count = 0;
  for (const pair of header.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? "" : decode(pair.slice(equals + 1));
    checkTag(name, value);
    if (name in tags) throw invalidTag("Cannot provide multiple Tags with the same key");
    count += 1;
    if (count > MAX_TAGS)
      throw s3Error("InvalidArgument", "BadRequest", `Object tags cannot be greater than ${MAX_TAGS}`);
    tags[name] = value;
  }
  return { ...tags };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw s3Error(
      "InvalidArgument",
      "InvalidArgument",
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      { argumentName: "x-amz-tagging" },
    );
  }
}
