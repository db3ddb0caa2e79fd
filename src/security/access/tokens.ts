import { timingSafeEqual } from "node:crypto";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { type Keyring, digestOf } from "./keyring.ts";
import { identityOf } from "./identity.ts";
import type { Identity, KnownAccessKey } from "./types.ts";

/**
 * An access key in one text, for doors where nothing is signed: `gfs_ID.SECRET`, and behind a temporary one's secret a dot and its session token. Ids
 * hold no dot; what stands behind the first one is compared as a whole, whatever it holds.
 */
export function tokenOf({ id, secret, sessionToken }: KnownAccessKey): string {
  return `${PREFIX}${id}.${secret}${sessionToken === undefined ? "" : `.${sessionToken}`}`;
}

const PREFIX = "gfs_";
const ID = /^gfs_(\w{3,128})\./;

/** Whether a text is of that form. Such a one is never a key of the configuration, so that no revoked key comes back as one of those. */
export function isAccessToken(text: string): boolean {
  return ID.test(text);
}

export interface TokenGate {
  /** Whose token it is. Throws `Unauthenticated`, which tells an expired key from an unknown one only to who has its secret. */
  identify(token: string): Identity | Promise<Identity>;
  /** Whose certificate it is, which has been verified. Undefined when nobody's here; throws `Unauthenticated` when it opens nothing any more. */
  identifyCertificate(names: readonly string[]): Identity | undefined;
}

export interface TokenGateDeps {
  readonly keyring: Keyring;
  /** Also finds keys that have expired. Without a promise where the catalog is in this process. */
  readonly findAccessKey: (id: string) => KnownAccessKey | undefined | Promise<KnownAccessKey | undefined>;
  readonly clock: Clock;
}

export function createTokenGate({ keyring, findAccessKey, clock }: TokenGateDeps): TokenGate {
  const digests = new WeakMap<KnownAccessKey, Buffer>();
  const digestOfKey = (key: KnownAccessKey): Buffer => {
    const known = digests.get(key);
    if (known !== undefined) return known;
    const digest = digestOf(tokenOf(key));
    digests.set(key, digest);
    return digest;
  };
  // Compared with where there is no such key, so that an unknown id takes as long as a known one.
  const nobody = Buffer.alloc(64);

  const proven = (presented: Buffer, key: KnownAccessKey | undefined): Identity | undefined => {
    const matches = timingSafeEqual(presented, key === undefined ? nobody : digestOfKey(key));
    return matches && key !== undefined ? identityOf(key) : undefined;
  };
  const accept = (identity: Identity | undefined): Identity => {
    if (identity === undefined) throw unknown();
    if (identity.expiresMs !== undefined && !(clock.nowMs() < identity.expiresMs)) {
      throw new GfsError("Unauthenticated", "The API key has expired; ask for a new one.", { op: "access.identify" });
    }
    return identity;
  };

  return {
    identifyCertificate(names) {
      const identity = keyring.findCertificate(names);
      return identity === undefined ? undefined : accept(identity);
    },
    identify(token) {
      const presented = digestOf(token);
      const id = ID.exec(token)?.[1];
      if (id === undefined) return accept(keyring.find(presented));
      const key = findAccessKey(id);
      return key instanceof Promise
        ? key.then((found) => accept(proven(presented, found)))
        : accept(proven(presented, key));
    },
  };
}

function unknown(): GfsError {
  return new GfsError("Unauthenticated", "The API key is not known here.", { op: "access.identify" });
}
