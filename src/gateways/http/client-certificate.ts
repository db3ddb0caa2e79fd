import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

const known = new WeakMap<TLSSocket, string>();

/** The common name of the certificate that the client has shown, where one of those that are trusted here has issued it. */
export function certifiedName({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const before = known.get(socket);
  if (before !== undefined) return before;
  const { subject } = socket.getPeerCertificate() as { readonly subject?: { readonly CN?: string | string[] } };
  const name = subject?.CN;
  if (typeof name !== "string" || name === "") return undefined;
  known.set(socket, name);
  return name;
}
