import { type GfsError } from "../../../core/errors.ts";
import { childrenNamed, parseXml, type XmlElement } from "../../../core/xml.ts";
import { s3Error } from "./errors.ts";
import type { RequestBody, S3Request } from "./request.ts";

/** The body as a document. Undefined when it is empty. */
export async function readDocument(
  body: RequestBody,
  {
    root,
    limitBytes,
    maxElements,
  }: { readonly root: string; readonly limitBytes: number; readonly maxElements?: number },
): Promise<XmlElement | undefined> {
  const bytes = await body.readAll(limitBytes);
  if (bytes.length === 0) return undefined;
  const element = parseXml(bytes.toString("utf8"), {
    refuse: malformedXml,
    ...(maxElements === undefined ? {} : { maxElements }),
  });
  if (element.name !== root) throw malformedXml(`is a ${element.name.slice(0, 60)} where a ${root} was expected`);
  return element;
}

export function malformedXml(what: string): GfsError {
  return s3Error(
    "InvalidArgument",
    "MalformedXML",
    `The XML you provided was not well-formed or did not validate against our published schema: it ${what}.`,
  );
}

/** Configurations are small: S3 takes none that is larger. */
export const MAX_CONFIGURATION_BYTES = 64 * 1_024;

/** Configurations are read strictly: an element that we do not know is refused, since what it asks for would not happen. */

export async function readConfiguration(
  { body }: S3Request,
  root: string,
  limitBytes: number = MAX_CONFIGURATION_BYTES,
): Promise<XmlElement> {
  const document = await readDocument(body, { root, limitBytes, maxElements: 20_000 });
  if (document === undefined) throw malformedXml("is empty");
  return document;
}

export function allowOnly(element: XmlElement, names: readonly string[]): void {
  const stranger = element.children.find(({ name }) => !names.includes(name));
  if (stranger !== undefined)
    throw malformedXml(`holds ${stranger.name.slice(0, 60)}, which ${element.name} does not have`);
}

/** Undefined when there is none; more than one is refused. */
export function onlyChild(element: XmlElement, name: string): XmlElement | undefined {
  const found = childrenNamed(element, name);
  if (found.length > 1) throw malformedXml(`has more than one ${name} in ${element.name}`);
  return found[0];
}

export function textOf(element: XmlElement, name: string): string | undefined {
  return onlyChild(element, name)?.text;
}

export function requiredText(element: XmlElement, name: string): string {
  const text = textOf(element, name);
  if (text === undefined) throw malformedXml(`lacks ${name} in ${element.name}`);
  return text;
}

export function oneOf<T extends string>(text: string, allowed: readonly T[], name: string): T {
  const found = allowed.find((one) => one === text);
  if (found === undefined) throw malformedXml(`has a ${name} that is none of ${allowed.join(", ")}`);
  return found;
}

/** Undefined for anything but decimal digits, with a sign perhaps. */
export function integerOf(text: string): number | undefined {
  return /^[+-]?\d{1,15}$/.test(text.trim()) ? Number(text.trim()) : undefined;
}

export function booleanOf(text: string, name: string): boolean {
  const folded = text.trim().toLowerCase();
  if (folded === "true") return true;
  if (folded === "false") return false;
  throw malformedXml(`has a ${name} that is neither true nor false`);
}

const ISO_DATE = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;

/** In UTC where no zone is named. Undefined for what is no ISO 8601 date. */
export function dateOf(text: string): number | undefined {
  const plain = text.trim();
  if (!ISO_DATE.test(plain)) return undefined;
  const atMs = Date.parse(/T.*(?:Z|[+-]\d\d:?\d\d)$/.test(plain) || !plain.includes("T") ? plain : `${plain}Z`);
  return Number.isNaN(atMs) ? undefined : atMs;
}
