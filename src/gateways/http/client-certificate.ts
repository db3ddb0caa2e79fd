import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

const known = new WeakMap<TLSSocket, readonly string[]>();
const NONE: readonly string[] = [];

/** What the client's certificate calls it, the most telling name first, where one of those that are trusted here has issued it. */
export function certifiedNames({ socket }: IncomingMessage): readonly string[] {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return NONE;
  const before = known.get(socket);
  if (before !== undefined) return before;
  const names = namesOf(socket.getPeerCertificate());
  known.set(socket, names);
  return names;
}

export interface ShownCertificate {
  readonly subject?: { readonly CN?: string | readonly string[] };
  readonly subjectaltname?: string | undefined;
}

/** Services have addresses (`spiffe://...`), machines have names, people have e-mail: in this order, and at last the common name. */
const KINDS = ["URI", "DNS", "email"] as const;

/** None at all where the list of names cannot be read: half of it might name another. */
export function namesOf({ subject, subjectaltname }: ShownCertificate): readonly string[] {
  const alternatives = alternativesOf(subjectaltname ?? "");
  if (alternatives === undefined) return NONE;
  const names = KINDS.flatMap((kind) => alternatives.filter((name) => name.kind === kind).map(({ value }) => value));
  const common = subject?.CN;
  if (typeof common === "string") names.push(common);
  return names.filter((name) => name !== "");
}

interface Alternative {
  readonly kind: string;
  readonly value: string;
}

/** As Node writes them: `DNS:a, URI:b`, and a value that could be mistaken for more than one as JSON text. */
const ALTERNATIVE = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

function alternativesOf(text: string): readonly Alternative[] | undefined {
  const found: Alternative[] = [];
  let at = 0;
  while (at < text.length) {
    ALTERNATIVE.lastIndex = at;
    const match = ALTERNATIVE.exec(text);
    if (match === null) return undefined;
    const [whole, kind = "", written = ""] = match;
    const value = written.startsWith('"') ? textOf(written) : written;
    if (value === undefined) return undefined;
    found.push({ kind, value });
    at += whole.length;
  }
  return found;
}

function textOf(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}
