import type { CoordinatorService, ListRequest, ListResult, ObjectMeta } from "../../../coordinator/index.ts";
import { continuationAfter, placeOfContinuation } from "../../../coordinator/index.ts";
import type { Ctx } from "../../../core/context.ts";
import { inOrder, type VisiblePart, visibleParts } from "../../../security/index.ts";
import { compareKeys } from "../../../stores/index.ts";
import { refused, type RequestAccess } from "./request-access.ts";

/** Listings as a key sees them: what it may list, and on the way to that nothing but the way. */

export interface Lister {
  readonly service: CoordinatorService;
  readonly ctx: Ctx;
  readonly access: RequestAccess;
}

/** No key that begins with the directory sorts after this. */
const BEHIND = "\u{10FFFF}";

export async function listVisible(lister: Lister, request: ListRequest): Promise<ListResult> {
  const { service, ctx } = lister;
  const prefix = request.prefix ?? "";
  const parts = await partsBelow(lister, prefix);
  if (parts !== undefined) return await listParts(lister, request, parts);
  if (prefix.includes("/") || request.delimiter !== undefined) return await service.listObjects(ctx, request);
  return await listBuckets(lister, request);
}

/** Undefined: everything below the prefix. Throws where nothing may be seen, be there something or not. */
export async function partsBelow(
  { service, ctx, access }: Lister,
  prefix: string,
): Promise<readonly VisiblePart[] | undefined> {
  if (prefix.includes("/") && (await access.mayList(prefix))) return undefined;
  const granted = visibleParts(access.identity, prefix);
  if (granted === undefined && !prefix.includes("/")) return undefined;
  const parts = [...(granted ?? [])];
  if (!prefix.includes("/")) parts.push(...(await ownBuckets({ service, ctx, access }, prefix)));
  const open: VisiblePart[] = [];
  for (const part of inOrder(parts)) {
    const allowed = part.exact === true ? await access.mayRead(part.prefix) : await access.mayList(part.prefix);
    if (allowed) open.push(part);
  }
  if (open.length === 0 && prefix.includes("/")) throw refused();
  return open;
}

/** Of keys with the role `user`, which have no grants below a path but what their user owns there. */
async function ownBuckets({ service, ctx, access }: Lister, prefix: string): Promise<VisiblePart[]> {
  const { user, grants } = access.identity;
  if (user === "" || !grants.some(({ role }) => role === "user")) return [];
  const parts: VisiblePart[] = [];
  let after: string | undefined;
  do {
    const page: Awaited<ReturnType<CoordinatorService["listBuckets"]>> = await service.listBuckets(ctx, {
      prefix,
      limit: 10_000,
      ...(after === undefined ? {} : { after }),
    });
    for (const { name, owner } of page.buckets) if (owner === user) parts.push({ prefix: `${name}/` });
    after = page.next;
  } while (after !== undefined);
  return parts;
}

/** Over several buckets: those whose policies forbid to list them are passed over. */
async function listBuckets({ service, ctx, access }: Lister, request: ListRequest): Promise<ListResult> {
  const closed = new Map<string, boolean>();
  const isClosed = async (key: string): Promise<boolean> => {
    const slash = key.indexOf("/");
    if (slash === -1) return false;
    const directory = key.slice(0, slash + 1);
    const known = closed.get(directory) ?? !(await access.mayList(directory));
    closed.set(directory, known);
    return known;
  };
  const objects: ObjectMeta[] = [];
  const { continuation, ...rest } = request;
  let after = continuation === undefined ? request.after : placeOfContinuation(continuation);
  for (;;) {
    const page = await service.listObjects(ctx, {
      ...rest,
      limit: request.limit - objects.length,
      ...(after === undefined ? {} : { after }),
    });
    for (const object of page.objects) if (!(await isClosed(object.key))) objects.push(object);
    const { continuation: next, failedSites } = page;
    if (next === undefined) return { objects, prefixes: [], failedSites };
    after = placeOfContinuation(next);
    // Not to be told, and not to be gone through.
    if (await isClosed(after)) after = `${after.slice(0, after.indexOf("/") + 1)}${BEHIND}`;
    if (objects.length === request.limit)
      return { objects, prefixes: [], failedSites, continuation: continuationAfter(after) };
  }
}

interface Page {
  readonly objects: ObjectMeta[];
  readonly prefixes: string[];
  readonly failedSites: Map<string, string>;
  last: string | undefined;
}

async function listParts(lister: Lister, request: ListRequest, parts: readonly VisiblePart[]): Promise<ListResult> {
  const after = request.continuation === undefined ? request.after : placeOfContinuation(request.continuation);
  const page: Page = { objects: [], prefixes: [], failedSites: new Map(), last: undefined };
  let more = false;
  for (const part of parts) {
    const room = request.limit - page.objects.length - page.prefixes.length;
    const found = await listPart(lister, request, { part, after, limit: Math.max(1, room) });
    for (const { site, error } of found.failedSites) page.failedSites.set(site, error);
    const fresh = found.prefixes.filter((each) => page.prefixes.at(-1) !== each);
    if (room === 0) {
      // Only whether there is more was of interest.
      more = found.objects.length > 0 || fresh.length > 0;
      if (more) break;
      continue;
    }
    page.objects.push(...found.objects);
    page.prefixes.push(...fresh);
    page.last = [page.last, found.objects.at(-1)?.key, fresh.at(-1)]
      .filter((key) => key !== undefined)
      .toSorted(compareKeys)
      .at(-1);
    if (found.continuation !== undefined) {
      more = true;
      break;
    }
  }
  return {
    objects: page.objects,
    prefixes: page.prefixes,
    failedSites: Array.from(page.failedSites, ([site, error]) => ({ site, error })),
    ...(more && page.last !== undefined ? { continuation: continuationAfter(page.last) } : {}),
  };
}

interface PartPage {
  readonly part: VisiblePart;
  readonly after: string | undefined;
  readonly limit: number;
}

const EMPTY: ListResult = { objects: [], prefixes: [], failedSites: [] };

async function listPart(
  { service, ctx }: Lister,
  { prefix = "", delimiter, brief, others }: ListRequest,
  { part, after, limit }: PartPage,
): Promise<ListResult> {
  const slash = delimiter === undefined ? -1 : part.prefix.indexOf("/", prefix.length);
  const way = slash === -1 ? undefined : part.prefix.slice(0, slash + 1);
  if (way !== undefined && after !== undefined && compareKeys(way, after) <= 0) return EMPTY;
  const single = part.exact === true || way !== undefined;
  const result = await service.listObjects(ctx, {
    prefix: part.prefix,
    limit: single ? 1 : limit,
    ...(after === undefined ? {} : { after }),
    ...(brief === undefined ? {} : { brief }),
    ...(others === undefined ? {} : { others }),
  });
  const { failedSites } = result;
  const objects = part.exact === true ? result.objects.filter(({ key }) => key === part.prefix) : result.objects;
  if (way !== undefined) return { objects: [], prefixes: objects.length === 0 ? [] : [way], failedSites };
  return part.exact === true ? { objects, prefixes: [], failedSites } : result;
}
