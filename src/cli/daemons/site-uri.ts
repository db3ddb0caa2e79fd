import { fileURLToPath } from "node:url";
import { GfsError, toGfsError } from "../../core/errors.ts";
import { parseSizeBytes } from "../../core/units.ts";
import { MAX_INTAKE_BYTES } from "../../stores/index.ts";
import type { EndpointGuard } from "../../security/index.ts";
import type { StoreConfig } from "../config/index.ts";
import { originOf } from "./open-store.ts";

/** What `site add --uri` names, checked against what the operator allows. */
export async function storeOfUri(uri: string, guard: EndpointGuard): Promise<StoreConfig> {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    throw unknownUri(uri);
  }
  const query = takeQuery(url);
  const store = storeOf(url, query, uri);
  const [unknown] = query.keys();
  if (unknown !== undefined)
    throw new GfsError(
      "InvalidArgument",
      `"${unknown.slice(0, 60)}" is no option of this address; known are region, endpoint, prefix, path_style, profile and intake.`,
    );
  if (store.driver === "file") return { ...store, path: await guard.checkDirectory(store.path), followsLinks: false };
  const origin = originOf(store);
  if (origin !== undefined) guard.checkUrl(origin);
  return store;
}

function takeQuery(url: URL): Map<string, string> {
  if (url.port !== "" || url.hash !== "") {
    throw new GfsError(
      "InvalidArgument",
      "A site's address has no port and no fragment; write `?endpoint=` for another host.",
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new GfsError(
      "InvalidArgument",
      "A site's address carries no credentials; set them in the coordinator's environment or configuration.",
    );
  }
  return new Map(url.searchParams);
}

function storeOf(url: URL, query: Map<string, string>, uri: string): StoreConfig {
  const take = (name: string): string | undefined => {
    const value = query.get(name);
    query.delete(name);
    return value === "" ? undefined : value;
  };
  const path = decoded(url.pathname.replace(/^\/+|\/+$/g, ""), uri);
  switch (url.protocol) {
    case "s3:": {
      const region = take("region");
      const endpoint = take("endpoint");
      const prefix = take("prefix") ?? (path === "" ? undefined : path);
      const pathStyle = take("path_style");
      const profile = take("profile");
      return {
        driver: "s3",
        bucket: url.hostname,
        region: region ?? "us-east-1",
        anonymous: false,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(prefix === undefined ? {} : { prefix }),
        ...(pathStyle === undefined ? {} : { pathStyle: pathStyle === "true" }),
        ...(profile === undefined ? {} : { profile }),
      };
    }
    case "gs:": {
      const prefix = take("prefix") ?? (path === "" ? undefined : path);
      return {
        driver: "gcs",
        bucket: url.hostname,
        endpoint: take("endpoint") ?? "https://storage.googleapis.com",
        anonymous: false,
        ...(prefix === undefined ? {} : { prefix }),
      };
    }
    case "azure:": {
      const endpoint = take("endpoint");
      const prefix = take("prefix");
      return {
        driver: "azure",
        account: url.hostname,
        container: path,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(prefix === undefined ? {} : { prefix }),
      };
    }
    case "file:":
      return { driver: "file", path: directoryOf(url, uri), ...intakeOf(take("intake")) };
    case "memory:":
      return { driver: "memory" };
    default:
      throw unknownUri(uri);
  }
}

function decoded(text: string, uri: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unknownUri(uri);
  }
}

function intakeOf(text: string | undefined): { readonly intakeBytes?: number } {
  if (text === undefined) return {};
  const intakeBytes = parseSize(text);
  if (intakeBytes <= MAX_INTAKE_BYTES) return { intakeBytes };
  throw new GfsError("InvalidArgument", `"intake" is at most ${MAX_INTAKE_BYTES} bytes, such as 64KiB, or 0.`);
}

function parseSize(text: string): number {
  try {
    return parseSizeBytes(text);
  } catch (error) {
    throw new GfsError("InvalidArgument", `"intake" is a size, such as 64KiB, or 0: ${toGfsError(error).message}`);
  }
}

function directoryOf(url: URL, uri: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw unknownUri(uri);
  }
}

function unknownUri(uri: string): GfsError {
  return new GfsError(
    "InvalidArgument",
    `"${uri.slice(0, 100)}" names no site; write s3://bucket?region=eu-west-1, gs://bucket, azure://account/container, file:///directory or memory://.`,
  );
}
