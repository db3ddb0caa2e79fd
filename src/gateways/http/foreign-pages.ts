import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { GfsError } from "../../core/errors.ts";
import { isLoopbackHost } from "../../security/index.ts";

/**
 * A browser sends what any page tells it to, also to addresses that only its machine reaches. It says so: where the page came from, and under which
 * name it thinks to speak to us. Clients that are no browsers say nothing, and no page can make a browser silent on what changes something.
 */
export interface PageGuard {
  /** Throws `PermissionDenied`. */
  check(request: IncomingMessage): void;
}

export interface OwnNames {
  readonly listensOn: string;
  /** What the server is called besides, such as the name of a proxy in front of it; with a port where it is not the usual one. */
  readonly names: readonly string[];
}

/**
 * Whether a `Host` is a name of ours. Who listens to a network is called by names that nobody could list, unless the operator does. Behind a name that is
 * none, a page may stand that gave it this machine's address, and would then be of the same site as we are.
 */
export function ownHost({ listensOn, names }: OwnNames): (host: string) => boolean {
  const known = new Set(names.map((name) => name.toLowerCase()));
  if (known.size === 0 && !isLoopbackHost(listensOn)) return () => true;
  return (host) => {
    const name = host.toLowerCase();
    if (known.has(name)) return true;
    const bare = name.replace(/:\d+$/, "");
    return known.has(bare) || bare === listensOn || isLoopbackHost(bare);
  };
}

const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

export function createPageGuard(own: OwnNames): PageGuard {
  const known = new Set(own.names.map((name) => name.toLowerCase()));
  const isOwn = ownHost(own);
  /** Nearly all requests come under the same name. */
  let ownBefore: string | undefined;

  return {
    check({ headers, method = "GET" }) {
      const host = headers.host?.toLowerCase();
      if (host !== ownBefore && host !== undefined && !isOwn(host)) {
        throw refused(
          `The coordinator does not answer to the name ${host.slice(0, 100)}; coordinator.host_names lists those besides local ones.`,
        );
      }
      ownBefore = host;
      const site = headers["sec-fetch-site"];
      const isOurs = site === undefined || site === "same-origin" || site === "none";
      if (READS.has(method)) {
        // To follow a link to an object is harmless; to draw it into another page is not.
        if (!isOurs && headers["sec-fetch-mode"] !== "navigate")
          throw refused("Pages of other sites may link to what is here, and not use it.");
        return;
      }
      if (!isOurs || !isOwnOrigin(headers.origin, host, known))
        throw refused("Pages of other sites may not change anything here.");
      if (method === "POST" && !saysWhatFormsCannot(headers)) {
        throw refused(
          "A POST shows that it comes from no page's form with one of these headers: X-GlobalFS-API-Key, X-GlobalFS-Client with any value, or Content-Type: application/json.",
        );
      }
    },
  };
}

/** Browsers name the origin of everything that changes something; `null` is one that they hide. */
function isOwnOrigin(origin: string | undefined, host: string | undefined, known: ReadonlySet<string>): boolean {
  if (origin === undefined) return true;
  if (!URL.canParse(origin)) return false;
  const from = new URL(origin).host;
  return from !== "" && (from === host || known.has(from));
}

/** Pages may send these only to servers that allow it when they are asked first, which this one never does. */
function saysWhatFormsCannot(headers: IncomingHttpHeaders): boolean {
  return (
    headers["x-globalfs-api-key"] !== undefined ||
    headers["x-globalfs-client"] !== undefined ||
    headers.authorization !== undefined ||
    /^application\/json\b/i.test(headers["content-type"] ?? "")
  );
}

function refused(message: string): GfsError {
  return new GfsError("PermissionDenied", message, { op: "http.page" });
}
