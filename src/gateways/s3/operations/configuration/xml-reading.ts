import { childrenNamed, type XmlElement } from "../../../../core/xml.ts";
import { malformedXml, readDocument } from "../../documents.ts";
import type { S3Request } from "../../request.ts";
import { MAX_CONFIGURATION_BYTES } from "./bucket-change.ts";

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
