import type { IncomingMessage, ServerResponse } from "node:http";
import type { Ctx } from "../../core/context.ts";
import type { AuditedRequest, AuditTrail, Identity } from "../../security/index.ts";
import { connectionOf, originOf } from "./client-origin.ts";

/** What handlers add to what the trail is told of their request. */
export interface Told {
  /** Further paths that it names. */
  paths?: readonly string[];
  /** Those of a list that its sender may not touch. */
  refusedPaths?: readonly string[];
  /** Of an error. */
  code?: string;
  /** Whose key it was said to be, where that was not proved. */
  claims?: string;
}

/** A request as its door keeps it while it runs. */
export interface Audited {
  readonly ctx: Ctx;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly told: Told;
  /** Undefined until it is known who asks. */
  identity: Identity | undefined;
  /** What is asked for may be done by who asks; from here on something may change. */
  admitted: boolean;
}

export interface Auditor<S extends Audited> {
  /** Whoever asks is told before the answer goes out, once it is known. */
  begin(scope: S): void;
  /** It is known who asks. */
  identified(scope: S): void;
  /** Throws where nothing may be changed now. */
  admitted(scope: S): void;
  end(scope: S, status: number): void;
}

const REFUSED = new Set([401, 403]);

export function createAuditor<S extends Audited>(
  trail: AuditTrail,
  door: string,
  describe: (scope: S) => { readonly op: string; readonly path: string },
): Auditor<S> {
  const done = new WeakSet<Audited>();

  const tell = (scope: S, status: number): void => {
    if (done.has(scope)) return;
    const refused = REFUSED.has(status);
    const changed = !refused && scope.admitted && (status < 400 || status >= 499) && mayChange(scope.request);
    if (!refused && !changed) return;
    done.add(scope);
    const { told } = scope;
    const { code, claims, paths, refusedPaths } = told;
    if (refused) trail.refused(about(scope, undefined), { status, code, claims });
    else trail.changed(about(scope, paths), { status, code, claims });
    if (refusedPaths !== undefined && refusedPaths.length > 0)
      trail.refused(about(scope, refusedPaths.slice(0, MOST_REFUSED_PATHS)), { status: 403 });
  };

  const about = (scope: S, paths: readonly string[] | undefined): AuditedRequest => {
    const { door: at, user, key, from } = asker(scope);
    const { op, path } = describe(scope);
    return { door: at, user, key, from, op, path, paths, requestId: scope.ctx.requestId };
  };

  const asker = ({ request, identity }: S): Pick<AuditedRequest, "door" | "user" | "key" | "from"> => ({
    door,
    user: identity?.user ?? "",
    key: identity?.accessKeyId ?? "",
    from: originOf(request).address ?? "",
  });

  return {
    begin(scope) {
      if (mayChange(scope.request)) beforeEnd(scope.response, () => tell(scope, scope.response.statusCode));
    },
    identified(scope) {
      const { identity, request } = scope;
      if (identity === undefined || identity.accessKeyId === "") return;
      trail.used(connectionOf(request), identity, () => asker(scope));
    },
    admitted(scope) {
      if (mayChange(scope.request)) trail.assertWritable();
      scope.admitted = true;
    },
    end: tell,
  };
}

const MOST_REFUSED_PATHS = 100;

function mayChange({ method }: IncomingMessage): boolean {
  return method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
}

/** Whichever way the answer ends: with one call of everything, or after many pieces. */
function beforeEnd(response: ServerResponse, work: () => void): void {
  const end = response.end as (...words: unknown[]) => ServerResponse;
  response.end = function (this: ServerResponse, ...words: unknown[]): ServerResponse {
    response.end = end;
    work();
    return end.apply(this, words);
  };
}
