import { isIP } from "node:net";
import { GfsError } from "../errors.ts";

/** Where to listen. An absent host leaves the choice to the listener: loopback, or everywhere once keys are configured. */
export interface ListenAddress {
  readonly host?: string;
  readonly port: number;
}

/** Reads `:8090`, `127.0.0.1:8090`, `localhost:8090` and `[::1]:8090`. Port 0 lets the system choose. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text.trim());
  const port = match === null ? Number.NaN : Number(match[3]);
  const host = match?.[1] ?? match?.[2] ?? "";
  const valid =
    match !== null && port <= 65_535 && (match[1] === undefined ? /^[a-zA-Z0-9.-]*$/.test(host) : isIP(host) === 6);
  if (!valid) {
    throw new GfsError(
      "InvalidArgument",
      `"${text}" is not an address to listen on; write host:port, such as 127.0.0.1:8090, or :8090.`,
    );
  }
  return host === "" ? { port } : { host, port };
}
