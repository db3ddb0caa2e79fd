import type { IncomingMessage } from "node:http";

/** An access key in the form of one text, wherever it may stand. */
export function presentedToken({ headers }: IncomingMessage): string | undefined {
  const own = headers["x-globalfs-api-key"];
  if (typeof own === "string") return own;
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? "");
  return bearer?.[1];
}
