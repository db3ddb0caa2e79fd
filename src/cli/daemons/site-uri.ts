import { fileURLToPath } from "node:url";
import { GfsError } from "../../core/errors.ts";
import type { EndpointGuard } from "../../security/index.ts";
import type { StoreConfig } from "../config/index.ts";

/** What `site add --uri` names, checked against what the operator allows. */
export function storeOfUri(uri: string, guard: EndpointGuard): StoreConfig {
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
      `"${unknown.slice(0, 60)}" is no option of this address; known are region, endpoint, prefix, path_style and profile.`,
    );
  if ("endpoint" in store && store.endpoint !== undefined) guard.checkUrl(store.endpoint);
  if (store.driver === "file") guard.checkDirectory(store.path);
  return store;
}

function takeQuery(url: URL): Map<string, string> {
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
  const path = decodeURIComponent(url.pathname.replace(/^\/+|\/+$/g, ""));
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
      return { driver: "file", path: fileURLToPath(url) };
    case "memory:":
      return { driver: "memory" };
    default:
      throw unknownUri(uri);
  }
}

function unknownUri(uri: string): GfsError {
  return new GfsError(
    "InvalidArgument",
    `"${uri.slice(0, 100)}" names no site; write s3://bucket?region=eu-west-1, gs://bucket, azure://account/container, file:///directory or memory://.`,
  );
}
