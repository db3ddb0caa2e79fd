import type { IncomingHttpHeaders } from "node:http";
import { GfsError } from "../../../core/errors.ts";
import { notImplemented, s3Error } from "./errors.ts";
import type { Route, Target } from "./request.ts";
import { SUB_RESOURCES } from "./sub-resources.ts";

/** Parameters that say how, not what. `id` belongs to the configurations of which a bucket may have several. */
const PARAMETERS: ReadonlySet<string> = new Set([
  "bucket-region",
  "continuation-token",
  "delimiter",
  "encoding-type",
  "fetch-owner",
  "id",
  "key-marker",
  "list-type",
  "marker",
  "max-buckets",
  "max-keys",
  "max-parts",
  "max-uploads",
  "part-number-marker",
  "partNumber",
  "prefix",
  "select-type",
  "start-after",
  "upload-id-marker",
  "version-id-marker",
  "versionId",
  "x-id",
]);

/** An address presigned with Signature Version 2 may carry two headers, too, and they count as such. */
const OF_OLD_SIGNATURES = /^(?:AWSAccessKeyId|Expires|Signature|[Cc]ontent-(?:[Mm][Dd]5|[Tt]ype))$/;

export type Router = (target: Target, headers: IncomingHttpHeaders) => Route;

/**
 * Finds the route, or refuses: a sub-resource that nobody here serves is `NotImplemented` and never mistaken for the request without it; two
 * that do not belong together are refused, too.
 */
export function createRouter(routes: readonly Route[]): Router {
  const byPlace = new Map<string, Route[]>();
  for (const route of routes) {
    const place = `${route.level} ${route.method}`;
    byPlace.set(place, [...(byPlace.get(place) ?? []), route]);
  }
  // The one that asks for most comes first.
  for (const list of byPlace.values()) list.sort((one, other) => demands(other) - demands(one));

  return (target, headers) => {
    const level = levelOf(target);
    const candidates = byPlace.get(`${level} ${target.method}`);
    if (candidates === undefined) throw wrongMethod(target, byPlace, level);
    const route = candidates.find((candidate) => fits(candidate, target, headers));
    for (const name of target.query.keys()) {
      if (route !== undefined && queryOf(route).includes(name)) continue;
      if (isStrange(name, target)) throw refuse(name, route, target);
    }
    if (route === undefined)
      throw notImplemented(
        `There is no such request of ${level === "service" ? "the service" : `an S3 ${level}`} here.`,
      );
    return route;
  };
}

function levelOf({ bucket, key }: Target): Route["level"] {
  if (bucket === "") return "service";
  return key === "" ? "bucket" : "object";
}

function queryOf({ query }: Route): readonly string[] {
  if (query === undefined) return [];
  return typeof query === "string" ? [query] : query;
}

function demands(route: Route): number {
  return queryOf(route).length * 2 + (route.header === undefined ? 0 : 1);
}

function fits(route: Route, { query }: Target, headers: IncomingHttpHeaders): boolean {
  if (route.header !== undefined && headers[route.header] === undefined) return false;
  return queryOf(route).every((name) => query.has(name));
}

/** A read may carry a parameter of somebody else's, as long as it has a value; a write may not: what it means would be guessed. */
function isStrange(name: string, { method, query }: Target): boolean {
  if (SUB_RESOURCES.has(name)) return true;
  if (PARAMETERS.has(name)) return name === "partNumber" && method !== "GET" && method !== "HEAD";
  if (/^(?:x-amz-|response-)/i.test(name)) return false;
  if (query.has("AWSAccessKeyId") && OF_OLD_SIGNATURES.test(name)) return false;
  return query.get(name) === "" || (method !== "GET" && method !== "HEAD");
}

function refuse(name: string, route: Route | undefined, target: Target): GfsError {
  if (route !== undefined && queryOf(route).length > 0 && SUB_RESOURCES.has(name)) {
    return s3Error(
      "InvalidArgument",
      "InvalidArgument",
      `The parameters ${queryOf(route).join(", ")} and ${name} do not belong together in one request.`,
      { argumentName: name.slice(0, 100), argumentValue: (target.query.get(name) ?? "").slice(0, 100) },
    );
  }
  return notImplemented(
    `${target.method} with the parameter ${JSON.stringify(name.slice(0, 100))} is not implemented.`,
    {
      header: name.slice(0, 100),
    },
  );
}

function wrongMethod({ method }: Target, byPlace: ReadonlyMap<string, readonly Route[]>, level: string): GfsError {
  const allowed = Array.from(byPlace.keys(), (place) => place.split(" ") as [string, string])
    .filter(([other]) => other === level)
    .map(([, known]) => known);
  return new GfsError(
    "MethodNotAllowed",
    `The method ${JSON.stringify(method.slice(0, 20))} is not allowed against this resource; allowed are ${allowed.join(", ")}.`,
    { op: "s3", context: { allow: allowed.join(", ") } },
  );
}
