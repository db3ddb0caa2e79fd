import type { CoordinatorService } from "../../../coordinator/index.ts";
import { GfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import {
  askListing,
  type Asker,
  askPath,
  type GlobalfsAction,
  grantAllowing,
  type Identity,
  mayBeForbiddenBelow,
  maySettle,
  ownsFreely,
  permits,
  splitAtBucket,
} from "../../../security/index.ts";
import { originOf } from "../../http/index.ts";
import type { RequestScope } from "../request-scope.ts";

/**
 * What one request of REST may do. Each question is the one that S3 asks for the same thing, so that no door opens what another keeps shut. A refusal
 * says nothing of what is there.
 */
export interface RequestAccess {
  readonly identity: Identity;
  readonly asker: Asker;
  /** Throws `PermissionDenied`. Without a promise where grants or owning decide. `action` is one of S3's. */
  object(action: string, path: string): void | Promise<void>;
  /** A directory with all that is below it, however much: moving it away or in. */
  directory(actions: readonly string[], path: string): Promise<void>;
  /** What concerns the whole coordinator, or a path where one is given. */
  operation(action: GlobalfsAction, path?: string): void;
  /** Whether the object may be read, without a word of refusal. */
  mayRead(path: string): boolean | Promise<boolean>;
  /** Whether keys that begin with the prefix, in which there is a slash, may be listed. */
  mayList(prefix: string): Promise<boolean>;
}

export interface RequestAccessDeps {
  readonly service: CoordinatorService;
  readonly clock: Clock;
}

export function accessOf(scope: RequestScope, deps: RequestAccessDeps): RequestAccess {
  return new ScopeAccess(scope, deps);
}

/** A class, since one is made for every request. */
class ScopeAccess implements RequestAccess {
  readonly identity: Identity;
  readonly #scope: RequestScope;
  readonly #service: CoordinatorService;
  readonly #clock: Clock;
  #asker: Asker | undefined;

  constructor(scope: RequestScope, { service, clock }: RequestAccessDeps) {
    this.identity = identityOf(scope);
    this.#scope = scope;
    this.#service = service;
    this.#clock = clock;
  }

  get asker(): Asker {
    this.#asker ??= { identity: this.identity, clock: this.#clock, circumstances: circumstancesOf(this.#scope) };
    return this.#asker;
  }

  object(action: string, path: string): void | Promise<void> {
    const allowed = this.#may(action, path);
    if (allowed === true) return undefined;
    return this.#insist(allowed);
  }

  async directory(actions: readonly string[], path: string): Promise<void> {
    const bare = path.replace(/\/$/, "");
    const { bucketName, key } = splitAtBucket(`${bare}/`);
    const bucket = await this.#service.storedBucket(bucketName);
    const held = actions.every(
      (action) =>
        grantAllowing(this.identity.grants, action, bare) !== undefined ||
        ownsFreely(this.identity, bucket, action, bare),
    );
    if (!held || mayBeForbiddenBelow(this.asker, bucket, { prefix: key, actions })) throw refused();
  }

  operation(action: GlobalfsAction, path = ""): void {
    if (grantAllowing(this.identity.grants, action, path) === undefined) throw refused();
  }

  mayRead(path: string): boolean | Promise<boolean> {
    return this.#may("s3:GetObject", path);
  }

  async mayList(prefix: string): Promise<boolean> {
    return await permits(this.asker, await askListing(this.#service, prefix));
  }

  #may(action: string, path: string): true | Promise<boolean> {
    const { bucketName } = splitAtBucket(path);
    const bucket = bucketName === "" ? undefined : this.#service.storedBucket(bucketName);
    if (!(bucket instanceof Promise) && bucket?.documents["policy"] === undefined) {
      if (grantAllowing(this.identity.grants, action, path) !== undefined) return true;
      if (ownsFreely(this.identity, bucket, action, path)) return true;
    }
    return this.#decide(action, path);
  }

  async #decide(action: string, path: string): Promise<boolean> {
    return await maySettle(this.asker, await askPath(this.#scope.ctx, this.#service, path, { action }));
  }

  async #insist(allowed: Promise<boolean>): Promise<void> {
    if (!(await allowed)) throw refused();
  }
}

/** The same whatever is there or not. */
export function refused(): GfsError {
  return new GfsError(
    "PermissionDenied",
    "This key may not do that there; `globalfs key check` tells what it may, and who administers the path can give it more.",
    { op: "rest.authorize" },
  );
}

function identityOf({ identity }: RequestScope): Identity {
  if (identity === undefined) throw new GfsError("Internal", "A request came this far without an identity.");
  return identity;
}

const PARAMETERS: Readonly<Record<string, string>> = { "max-keys": "limit" };

function circumstancesOf({ request }: RequestScope): Asker["circumstances"] {
  const { address, tlsVersion } = originOf(request);
  let query: URLSearchParams | undefined;
  return {
    address,
    tlsVersion,
    header(name) {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(",") : value;
    },
    parameter(name) {
      const url = request.url ?? "";
      query ??= new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?") + 1) : "");
      return query.get(PARAMETERS[name] ?? name) ?? undefined;
    },
  };
}
