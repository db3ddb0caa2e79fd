/** The little XML that S3 speaks: read into a tree within limits, written with everything escaped. */
import { SaxesParser } from "saxes";

export interface XmlElement {
  /** Without a name space prefix; so are the names of attributes. */
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
  /** Absent when it has none. */
  readonly attributes?: Readonly<Record<string, string>>;
}

interface OpenElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface XmlRules {
  /** The error to throw for a document that is none: `what` completes "the document ...", such as "is empty". */
  readonly refuse: (what: string) => Error;
  readonly maxCharacters?: number;
  readonly maxElements?: number;
}

/** 1,000 keys of 1,024 bytes, each byte percent-encoded, with their other fields, fit well into this. */
export const MAX_XML_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 100_000;

/**
 * Throws what `refuse` makes on anything but a well-formed document within the limits. Document types, and with them entities of one's
 * own, are refused.
 */
export function parseXml(document: string, rules: XmlRules): XmlElement {
  if (document.length > (rules.maxCharacters ?? MAX_XML_BYTES))
    throw rules.refuse(`has ${document.length} characters, which is too much`);
  try {
    return parse(document, "1.0", rules);
  } catch (error) {
    // Some endpoints refer to control characters, in tokens made of keys, which only XML 1.1 allows.
    if (!document.includes("&#")) throw error;
    return parse(document, "1.1", rules);
  }
}

function parse(document: string, version: "1.0" | "1.1", { refuse, maxElements = MAX_ELEMENTS }: XmlRules): XmlElement {
  const root: OpenElement = { name: "", text: "", children: [] };
  const open: OpenElement[] = [root];
  let elements = 0;
  const parser = new SaxesParser({ defaultXMLVersion: version, forceXMLVersion: true });
  parser.on("error", (error) => {
    throw refuse(`is not well-formed: ${error.message}`);
  });
  parser.on("doctype", () => {
    throw refuse("declares a document type");
  });
  parser.on("opentag", (tag) => {
    elements += 1;
    if (open.length > MAX_DEPTH || elements > maxElements) throw refuse("nests too deep or holds too much");
    const element: OpenElement = {
      name: localName(tag.name),
      text: "",
      children: [],
      ...attributesOf(tag.attributes as Record<string, string>),
    };
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
  if (first === undefined) throw refuse("is empty");
  return first;
}

function attributesOf(raw: Readonly<Record<string, string>>): {
  readonly attributes?: Readonly<Record<string, string>>;
} {
  const entries = Object.entries(raw);
  if (entries.length === 0) return {};
  return { attributes: Object.fromEntries(entries.map(([name, value]) => [localName(name), value])) };
}

export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

export function childrenNamed(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

const SPECIAL = /[&<>"'\r\n\t]/;

export function escapeXml(text: string): string {
  return SPECIAL.test(text) ? text.replace(/[&<>"'\r\n\t]/g, (char) => `&#${char.charCodeAt(0)};`) : text;
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
