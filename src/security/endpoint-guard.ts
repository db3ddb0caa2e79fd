import { realpath } from "node:fs/promises";
import path from "node:path";
import { GfsError } from "../core/errors.ts";

/**
 * Sites that are added at run time may only point where the operator allowed: else whoever holds a key could make the
 * coordinator talk to any address it can reach.
 */
export interface EndpointGuard {
  /** Throws `PermissionDenied` with the setting that would allow it. */
  checkUrl(endpoint: string): void;
  /**
   * Resolves with the directory that the path leads to once links are followed; what does not exist yet is named below what does. Use that
   * one, and follow no link any more: else one that is put in its place meanwhile would lead elsewhere.
   */
  checkDirectory(directory: string): Promise<string>;
}

export interface EndpointGuardConfig {
  /** Hosts, `*.host` for all below one, each with an optional `:port` (`:*` is any). */
  readonly allowedEndpoints: readonly string[];
  /** Directories below which sites may lie. */
  readonly allowedPaths: readonly string[];
}

/** The object stores of the large clouds, over TLS. */
const ALWAYS = ["storage.googleapis.com", "*.storage.googleapis.com", "*.blob.core.windows.net"];
/** S3's own names among those below amazonaws.com, where anybody may rent a machine or a balancer that has one, too. */
const S3_HOST = /^(?:[a-z0-9-]+\.)*s3(?:-[a-z0-9-]+)?(?:\.[a-z0-9-]+){0,2}\.amazonaws\.com(?:\.cn)?$/;

interface HostPattern {
  readonly host: string;
  readonly below: boolean;
  /** Undefined: any. */
  readonly port: string | undefined;
}

function parsePattern(text: string): HostPattern {
  const match = /^(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(\d{1,5}|\*))?$/i.exec(text.trim());
  if (match === null) {
    throw new GfsError(
      "ConfigInvalid",
      `"${text}" in security.allowed_endpoints is no host; write minio.example.org:9000 or *.example.org.`,
    );
  }
  return {
    host: (match[2] as string).toLowerCase(),
    below: match[1] !== undefined,
    port: match[3] === "*" ? undefined : (match[3] ?? "default"),
  };
}

export function createEndpointGuard(config: EndpointGuardConfig): EndpointGuard {
  const configured = config.allowedEndpoints.map(parsePattern);
  const clouds = ALWAYS.map(parsePattern);
  const roots = config.allowedPaths.map((root) => path.resolve(root));
  const isBelow = (directory: string, root: string): boolean =>
    directory === root || directory.startsWith(root.endsWith("/") ? root : `${root}/`);
  return {
    checkUrl(endpoint) {
      let url: URL;
      try {
        // The parser writes addresses such as 0x7f.1 or 2130706433 the usual way, so that a pattern sees what is connected to.
        url = new URL(endpoint);
      } catch {
        throw new GfsError("InvalidArgument", "The endpoint is no address; write https://host[:port].");
      }
      if (url.protocol !== "https:" && url.protocol !== "http:")
        throw new GfsError("InvalidArgument", "An endpoint begins with https:// or http://.");
      if (url.username !== "" || url.password !== "")
        throw new GfsError("InvalidArgument", "An endpoint carries no user name and no password.");
      const allowed =
        configured.some((pattern) => fits(pattern, url)) ||
        (url.protocol === "https:" && (isS3(url) || clouds.some((pattern) => fits(pattern, url))));
      if (allowed) return;
      throw new GfsError(
        "PermissionDenied",
        `Sites at ${url.host} are not allowed; add the host to security.allowed_endpoints in the coordinator's configuration.`,
      );
    },
    async checkDirectory(directory) {
      const named = path.resolve(directory);
      if (path.isAbsolute(directory) && roots.some((root) => isBelow(named, root))) {
        const found = await realDirectory(named);
        const realRoots = await Promise.all(roots.map(realDirectory));
        if (realRoots.some((root) => isBelow(found, root))) return found;
      }
      // Where links lead is not for whoever asks.
      throw new GfsError(
        "PermissionDenied",
        `Sites below ${named} are not allowed; add the directory to security.allowed_paths in the coordinator's configuration.`,
      );
    },
  };
}

function isS3(url: URL): boolean {
  return url.port === "" && S3_HOST.test(url.hostname.toLowerCase().replace(/\.$/, ""));
}

async function realDirectory(directory: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch (error) {
    const { code } = error as { code?: string };
    const parent = path.dirname(directory);
    if (code === "ENOENT" && parent !== directory)
      return path.join(await realDirectory(parent), path.basename(directory));
    throw new GfsError(
      "PermissionDenied",
      `The directory ${directory} cannot be looked at; check its path and modes.`,
      {
        cause: error,
      },
    );
  }
}

function fits({ host, below, port }: HostPattern, url: URL): boolean {
  const name = url.hostname.toLowerCase().replace(/\.$/, "");
  const named = below ? name.endsWith(`.${host}`) : name === host;
  if (!named) return false;
  if (port === undefined) return true;
  return port === "default" ? url.port === "" : (url.port || (url.protocol === "https:" ? "443" : "80")) === port;
}
