import { childrenNamed, escapeXml, type XmlElement } from "../../../../core/xml.ts";
import { S3_NAMESPACE } from "../../answer.ts";
import { malformedXml } from "../../documents.ts";
import { s3Error } from "../../failure.ts";
import { allowOnly, onlyChild, requiredText } from "./xml-reading.ts";

/** Tags of buckets and objects in the form of documents. */

export type Tags = Readonly<Record<string, string>>;

const MAX_NAME = 128;
const MAX_VALUE = 256;
/** The characters that S3 lets tags have. */
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

export function readTagging(document: XmlElement, { maxTags }: { readonly maxTags: number }): Tags {
  allowOnly(document, ["TagSet"]);
  const set = onlyChild(document, "TagSet");
  if (set === undefined) throw malformedXml("has no TagSet");
  allowOnly(set, ["Tag"]);
  const tags = childrenNamed(set, "Tag").map((tag): readonly [string, string] => {
    allowOnly(tag, ["Key", "Value"]);
    return [requiredText(tag, "Key"), requiredText(tag, "Value")];
  });
  if (tags.length > maxTags) throw invalid(`There are at most ${maxTags} tags.`);
  for (const [name, value] of tags) checkTag(name, value);
  if (new Set(tags.map(([name]) => name)).size < tags.length)
    throw invalid("Cannot provide multiple Tags with the same key.");
  return Object.fromEntries(tags);
}

function checkTag(name: string, value: string): void {
  if (name === "" || name.length > MAX_NAME || !ALLOWED.test(name))
    throw invalid("The TagKey you have provided is invalid.");
  if (value.length > MAX_VALUE || !ALLOWED.test(value)) throw invalid("The TagValue you have provided is invalid.");
  if (/^aws:/i.test(name)) throw invalid("System tags cannot be added by requesters.");
}

export function writeTagging(tags: Tags): string {
  const rows = Object.entries(tags)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `<Tag><Key>${escapeXml(name)}</Key><Value>${escapeXml(value)}</Value></Tag>`);
  return `<Tagging ${S3_NAMESPACE}><TagSet>${rows.join("")}</TagSet></Tagging>`;
}

function invalid(sentence: string): Error {
  return s3Error("InvalidArgument", "InvalidTag", sentence);
}
