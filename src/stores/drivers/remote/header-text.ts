/**
 * Text of any kind in an HTTP header. What a header can not carry as it is (not printable ASCII, or with white space at
 * the ends) travels as one RFC 2047 word, `=?UTF-8?B?base64?=`, the form that AWS itself uses in answers; so does what
 * looks like such a word, so that everything comes back as it was.
 */
const PLAIN = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;
const WORD = /=\?UTF-8\?([BQ])\?([^?]*)\?=/gi;

export function encodeHeaderText(value: string): string {
  if (PLAIN.test(value) && !value.includes("=?")) return value;
  return `=?UTF-8?B?${Buffer.from(value).toString("base64")}?=`;
}

export function decodeHeaderText(value: string): string {
  if (!value.includes("=?")) return value;
  // White space between two words belongs to the encoding (RFC 2047 section 6.2).
  return value.replace(/\?=\s+=\?/g, "?==?").replace(WORD, (_word, encoding: string, text: string) => {
    if (encoding.toUpperCase() === "B") return Buffer.from(text, "base64").toString();
    const bytes = text
      .replaceAll("_", " ")
      .replace(/=([0-9A-F]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return Buffer.from(bytes, "latin1").toString();
  });
}
