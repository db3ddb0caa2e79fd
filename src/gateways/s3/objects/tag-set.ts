import { childrenNamed, escapeXml, type XmlElement } from "../../../core/xml.ts";
import { S3_NAMESPACE } from "../wire/answer.ts";
import { allowOnly, malformedXml, onlyChild, requiredText } from "../wire/documents.ts";
import { checkTag, invalidTag } from "./tag-rules.ts";

/** Tags of buckets and objects in the form of documents. */

export type Tags = Readonly<Record<string, string>>;

export function readTagging(document: XmlElement, { maxTags }: { readonly maxTags: number }): Tags {
  allowOnly(document, ["TagSet"]);
  const set = onlyChild(document, "TagSet");
  if (set === undefined) throw malformedXml("has no TagSet");
  allowOnly(set, ["Tag"]);
  const tags = childrenNamed(set, "Tag").map((tag): readonly [string, string] => {
    allowOnly(tag, ["Key", "Value"]);
    return [requiredText(tag, "Key"), requiredText(tag, "Value")];
  });
  if (tags.length > maxTags) throw invalidTag(`There are at most ${maxTags} tags.`);
  for (const [name, value] of tags) checkTag(name, value);
  if (new Set(tags.map(([name]) => name)).size < tags.length)
    throw invalidTag("Cannot provide multiple Tags with the same key.");
  return Object.fromEntries(tags);
}

export function writeTagging(tags: Tags): string {
  const rows = Object.entries(tags)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `<Tag><Key>${escapeXml(name)}</Key><Value>${escapeXml(value)}</Value></Tag>`);
  return `<Tagging ${S3_NAMESPACE}><TagSet>${rows.join("")}</TagSet></Tagging>`;
}
