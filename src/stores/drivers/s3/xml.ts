import { GfsError } from "../../../core/errors.ts";
import { parseXml, type XmlElement } from "../../../core/xml.ts";

/** An answer that is no XML is `Unavailable`: a server or proxy in trouble sends such, and asking again may help. */
export function parseAnswer(document: string): XmlElement {
  return parseXml(document, { refuse: malformed });
}

function malformed(what: string): GfsError {
  return new GfsError("Unavailable", `The S3 endpoint sent an answer that is not the XML expected: it ${what}.`, {
    op: "s3.xml",
  });
}
