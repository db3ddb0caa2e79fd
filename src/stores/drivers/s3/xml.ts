/** The little XML that S3 speaks: read into a tree within limits, written with everything escaped. */
import { SaxesParser } from "saxes";
import { GfsError } from "../../../core/errors.ts";

export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

interface OpenElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

/** 1,000 keys of 1,024 bytes, each byte percent-encoded, with their other fields, fit well into this. */
export const MAX_XML_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 100_000;

/**
 * Throws `Unavailable` on anything but a well-formed document: a server or proxy in trouble sends such, and asking
 * again may help. Document types, and with them entities of one's own, are refused.
 */
export function parseXml(document: string): XmlElement {
  if (document.length > MAX_XML_BYTES) throw malformed(`has ${document.length} characters`);
  try {
    return parse(document, "1.0");
  } catch (error) {
    // Some endpoints refer to control characters, in tokens made of keys, which only XML 1.1 allows.
    if (!document.includes("&#")) throw error;
    return parse(document, "1.1");
  }
}

function parse(document: string, version: "1.0" | "1.1"): XmlElement {
  const root: OpenElement = { name: "", text: "", children: [] };
  const open: OpenElement[] = [root];
  let elements = 0;
  const parser = new SaxesParser({ defaultXMLVersion: version, forceXMLVersion: true });
  parser.on("error", (error) => {
    throw malformed(error.message);
  });
  parser.on("doctype", () => {
    throw malformed("declares a document type");
  });
  parser.on("opentag", (tag) => {
    elements += 1;
    if (open.length > MAX_DEPTH || elements > MAX_ELEMENTS) throw malformed("nests too deep or holds too much");
    const element: OpenElement = { name: localName(tag.name), text: "", children: [] };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on("closetag", () => {
    open.pop();
  });
  const onText = (text: string): void => {
    const innermost = open.at(-1);
    if (innermost !== undefined) innermost.text += text;
  };
  parser.on("text", onText);
  parser.on("cdata", onText);
  // S3 keeps long requests alive with white space before the document.
  parser.write(document.trimStart()).close();
  const first = root.children[0];
  if (first === undefined) throw malformed("is empty");
  return first;
}

export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

export function childrenNamed(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r\n\t]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Whether XML 1.0 can carry the text at all: most control characters it can not, not even escaped. */
export function fitsXml(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- The characters that XML 1.0 section 2.2 leaves out.
  return !/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]|\p{Surrogate}/u.test(text);
}

function localName(name: string): string {
  const colon = name.indexOf(":");
  return colon === -1 ? name : name.slice(colon + 1);
}

function malformed(what: string): GfsError {
  return new GfsError("Unavailable", `The S3 endpoint sent an answer that is not the XML expected: it ${what}.`, {
    op: "s3.xml",
  });
}
