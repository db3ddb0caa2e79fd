import { s3Error } from "../wire/errors.ts";

/** What S3 lets a tag be, wherever it comes from. */

const MAX_NAME = 128;
const MAX_VALUE = 256;
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

export function checkTag(name: string, value: string): void {
  if (name === "" || name.length > MAX_NAME || !ALLOWED.test(name))
    throw invalidTag("The TagKey you have provided is invalid.");
  if (value.length > MAX_VALUE || !ALLOWED.test(value)) throw invalidTag("The TagValue you have provided is invalid.");
  if (/^aws:/i.test(name)) throw invalidTag("System tags cannot be added by requesters.");
}

export function invalidTag(sentence: string): Error {
  return s3Error("InvalidArgument", "InvalidTag", sentence);
}
