import { type GfsError } from "../../core/errors.ts";
import { parseXml, type XmlElement } from "../../core/xml.ts";
import { s3Error } from "./failure.ts";
import type { RequestBody } from "./request.ts";

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
