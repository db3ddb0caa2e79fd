/** Contents that say which write they are of, so that a mixture of two is neither. */
export interface Content {
  readonly serial: number;
  readonly sizeBytes: number;
}

export function bytesOf(writer: string, { serial, sizeBytes }: Content): Buffer {
  return Buffer.alloc(sizeBytes, `${writer}:${serial}|`);
}

/** The candidate whose bytes these are. Empty bodies all look alike: the latest is taken. */
export function identify(
  writer: string,
  found: Buffer | undefined,
  candidates: readonly (Content | undefined)[],
): { readonly content: Content | undefined } | undefined {
  for (const content of candidates.toReversed()) {
    const same =
      content === undefined || found === undefined ? content === found : found.equals(bytesOf(writer, content));
    if (same) return { content };
  }
  return undefined;
}

/** For messages: what a body that should not be there looks like. */
export function describeBytes(found: Buffer | undefined): string {
  if (found === undefined) return "nothing (404)";
  return `${found.length} bytes beginning ${JSON.stringify(found.subarray(0, 40).toString("latin1"))}, ending ${JSON.stringify(found.subarray(-20).toString("latin1"))}`;
}

export function describeContent(content: Content | undefined): string {
  return content === undefined ? "absent" : `write ${content.serial} of ${content.sizeBytes} bytes`;
}
