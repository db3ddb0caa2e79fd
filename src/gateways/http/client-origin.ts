import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

/** Where a request came from. One that another process of ours passed on brings it along; a header of the client's own is never believed. */
export interface ClientOrigin {
  readonly address: string | undefined;
  /** Such as `1.3`; undefined: it came without TLS. */
  readonly tlsVersion: string | undefined;
}

const passedOn = new WeakMap<IncomingMessage, ClientOrigin>();

export function originOf(request: IncomingMessage): ClientOrigin {
  const { socket } = request;
  return (
    passedOn.get(request) ?? {
      address: socket.remoteAddress,
      tlsVersion: socket instanceof TLSSocket ? (socket.getProtocol() ?? "").replace(/^TLSv/, "") : undefined,
    }
  );
}

/** One object for all requests of one client's connection; where another process passes on those of many, each is one by itself. */
export function connectionOf(request: IncomingMessage): object {
  return passedOn.has(request) ? request : request.socket;
}

export const ORIGIN_HEADER = "x-globalfs-origin";

/** For requests that arrive over a socket that only our own processes can reach. */
export function takeOrigin(request: IncomingMessage): void {
  const written = request.headers[ORIGIN_HEADER];
  Reflect.deleteProperty(request.headers, ORIGIN_HEADER);
  const match = typeof written === "string" ? /^(\S*) (\S*)$/.exec(written) : null;
  if (match === null) return;
  const [, tlsVersion, address] = match as unknown as [string, string, string];
  passedOn.set(request, {
    address: address === "" ? undefined : address,
    tlsVersion: tlsVersion === "-" ? undefined : tlsVersion,
  });
}

export function writtenOrigin(request: IncomingMessage): string {
  const { address, tlsVersion } = originOf(request);
  return `${tlsVersion ?? "-"} ${address ?? ""}`;
}
