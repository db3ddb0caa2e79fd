import net from "node:net";
import { GfsError } from "../core/errors.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * `:8090`, `127.0.0.1:8090`, `[::1]:8090`, `0.0.0.0:8090`. Without a host: this machine only, unless there are keys; then every interface.
 */
export function parseListenAddress(text: string, forOthers: boolean): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new GfsError(
      "ConfigInvalid",
      `"${text}" is no address to listen on; write host:port, such as 127.0.0.1:8090 or :8090.`,
    );
  }
  const written = match[1] ?? match[2] ?? "";
  return { host: written === "" ? (forOthers ? "::" : "127.0.0.1") : written, port };
}

export interface Access {
  /** Of the configuration or the environment. */
  readonly hasKeys: boolean;
  /** `GLOBALFS_API_KEY` is the token of a key in the catalog, which may have been revoked since: nobody can tell before the catalog is open. */
  readonly hasToken?: boolean;
  readonly open: boolean;
}

/** Who may ask is a choice: keys, or everybody on this machine. What nobody can have meant is refused. */
export function assertAccessChosen({ host, port }: ListenAddress, { hasKeys, hasToken, open }: Access): void {
  const refuse = (message: string): never => {
    throw new GfsError("ConfigInvalid", message);
  };
  if (hasKeys && open)
    refuse("security.open lets everybody on this machine in, and there are API keys, too; take out one of the two.");
  if (hasKeys) return;
  if (open && !isLoopbackHost(host))
    refuse(
      `Listening on ${host}:${port} would let anybody on the network read and delete everything: security.open (--open) is for 127.0.0.1. Set GLOBALFS_API_KEY or security.api_keys instead.`,
    );
  if (!open && hasToken)
    refuse(
      "GLOBALFS_API_KEY is the token of a key in the catalog: it is for clients, and the coordinator needs a first key of its own. Make one with `globalfs key generate`, and set that for the coordinator, as GLOBALFS_API_KEY or by its hash in security.api_keys; the token goes on to open what it opened.",
    );
  if (!open)
    refuse(
      "There is no API key, so that every user of this machine could read and delete everything. Set GLOBALFS_API_KEY or security.api_keys; if that is what you want, on loopback, say --open or security.open: true.",
    );
}

/** Beyond this machine, keys and objects go by TLS, or it was said that something in front does it. */
export function assertNotInClear(
  { host, port }: ListenAddress,
  { tls, behindProxy, section }: { readonly tls: boolean; readonly behindProxy: boolean; readonly section: string },
): void {
  if (tls || behindProxy || isLoopbackHost(host)) return;
  throw new GfsError(
    "ConfigInvalid",
    `Listening on ${host}:${port} without TLS would show keys and objects to everybody on the way. Give ${section}.tls a certificate, listen on 127.0.0.1, or, where a proxy in front does TLS, say security.behind_proxy: true.`,
  );
}

export function isLoopbackHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, "");
  if (bare === "localhost" || bare.endsWith(".localhost") || bare === "::1") return true;
  if (bare.startsWith("::ffff:")) return isLoopbackHost(bare.slice(7));
  return net.isIPv4(bare) && bare.startsWith("127.");
}
