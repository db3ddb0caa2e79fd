import { LRUCache } from "lru-cache";
import { GfsError } from "../../core/errors.ts";
import { type Key, prefixRange, type Program, type Reader, type Value } from "../../kv/index.ts";
import { parseKey } from "../../namespace/index.ts";
import { generateAccessKeyPair, generateSessionToken } from "../../security/index.ts";
import {
  accessKeyRow,
  accessKeySpace,
  decodeAccessKey,
  encodeAccessKey,
  idOfAccessKeyRow,
  openAccessKey,
} from "./access-key-rows.ts";
import type { Kit } from "../kit.ts";
import type { AccessGrant, AccessKeyService, AccessRole, CreateAccessKey, KnownAccessKey } from "../service/service.ts";

const MAX_ACCESS_KEYS = 10_000;
const REMOVED_AT_ONCE = 50;
const MAX_GRANTS = 32;
const CACHED_KEYS = 4_096;
const LONGEST_LIFETIME_MS = 366 * 86_400_000;
/** An expired key is told apart from an unknown one for so long. */
const EXPIRED_RETENTION_MS = 7 * 86_400_000;

const ROLES: readonly AccessRole[] = ["reader", "writer", "admin", "user"];
const USER = /^[\w+=,.@-]{1,64}$/;
const ID = /^\w{3,128}$/;
const SECRET = /^[\x21-\x7e]{8,128}$/;

interface Cached {
  readonly row: Value;
  readonly key: KnownAccessKey;
}

export function createAccessKeyService({ kv, clock, random, secrets, log }: Kit): AccessKeyService {
  const cache = new LRUCache<string, Cached>({ max: CACHED_KEYS });

  const opened = (id: string, row: Value | undefined): KnownAccessKey | undefined => {
    if (row === undefined) {
      cache.delete(id);
      return undefined;
    }
    const known = cache.get(id);
    if (known !== undefined && Buffer.compare(known.row, row) === 0) return known.key;
    const key = openAccessKey(id, row, secrets);
    // The engine may use its memory again once the read is over.
    cache.set(id, { row: Buffer.from(row), key });
    return key;
  };

  return {
    async createAccessKey(_ctx, request) {
      const nowMs = clock.nowMs();
      const key = newKey(request, nowMs, random);
      const row = encodeAccessKey(key, secrets);
      await kv.transact(function* (tx): Program<void> {
        let count = 0;
        let removed = 0;
        for (const { key: rowKey, value } of yield* tx.range({ ...allRows(), limit: MAX_ACCESS_KEYS })) {
          const { expiresMs } = decodeAccessKey(idOfAccessKeyRow(rowKey), value);
          if (expiresMs === undefined || expiresMs + EXPIRED_RETENTION_MS >= nowMs) count += 1;
          // Others go with the keys that are made next.
          else if (++removed <= REMOVED_AT_ONCE) tx.delete(rowKey);
        }
        if (count >= MAX_ACCESS_KEYS) {
          throw new GfsError("TooLarge", `There are ${MAX_ACCESS_KEYS} access keys already; delete some first.`);
        }
        if ((yield* tx.get(accessKeyRow(key.id))) !== undefined) {
          throw new GfsError("AlreadyExists", `There is an access key ${key.id} already; delete it first.`);
        }
        tx.put(accessKeyRow(key.id), row);
      });
      log.info("access_key_created", {
        accessKeyId: key.id,
        user: key.user,
        grants: key.grants,
        expiresMs: key.expiresMs,
      });
      return key;
    },
    async listAccessKeys() {
      const rows = await kv.view((tx) => tx.range({ ...allRows(), limit: MAX_ACCESS_KEYS }));
      return rows.map(({ key, value }) => decodeAccessKey(idOfAccessKeyRow(key), value));
    },
    async deleteAccessKey(_ctx, id) {
      const row = rowOf(id);
      await kv.transact(function* (tx): Program<void> {
        if (row === undefined || (yield* tx.get(row)) === undefined) {
          throw new GfsError("NotFound", "There is no such access key; `globalfs key list` names them.");
        }
        tx.delete(row);
      });
      cache.delete(id);
      log.info("access_key_deleted", { accessKeyId: id });
    },
    findAccessKey(id) {
      const row = rowOf(id);
      if (row === undefined) return undefined;
      const read = (tx: Reader): Program<Value | undefined> => tx.get(row);
      if (kv.viewSync !== undefined) return opened(id, kv.viewSync(read));
      return kv.view(read).then((value) => opened(id, value));
    },
  };
}

const allRows = (): ReturnType<typeof prefixRange> => prefixRange(accessKeySpace);

/** What cannot be an id is none, and never reaches the catalog. */
function rowOf(id: string): Key | undefined {
  return ID.test(id) ? accessKeyRow(id) : undefined;
}

function newKey(request: CreateAccessKey, nowMs: number, random: Kit["random"]): KnownAccessKey {
  const { user, grants, lifetimeMs, createdBy, noLaterMs } = request;
  if (!USER.test(user)) {
    throw new GfsError("InvalidArgument", "A user's name has 1 to 64 letters, digits and the characters _+=,.@-.");
  }
  if (grants.length === 0 || grants.length > MAX_GRANTS) {
    throw new GfsError("InvalidArgument", `An access key has 1 to ${MAX_GRANTS} grants.`);
  }
  if (lifetimeMs !== undefined && !(lifetimeMs >= 1_000 && lifetimeMs <= LONGEST_LIFETIME_MS)) {
    throw new GfsError("InvalidArgument", "An access key expires after one second at least and 366 days at most.");
  }
  if (noLaterMs !== undefined && nowMs + (lifetimeMs ?? Number.POSITIVE_INFINITY) > noLaterMs) {
    throw new GfsError(
      "PermissionDenied",
      `A key that ends makes keys that end no later: give it a lifetime until ${new Date(noLaterMs).toISOString()} at most.`,
    );
  }
  if ((request.id === undefined) !== (request.secret === undefined)) {
    throw new GfsError("InvalidArgument", "Bring both the id and the secret of an access key, or neither.");
  }
  const pair = generateAccessKeyPair(random);
  const { id = pair.id, secret = pair.secret } = request;
  if (!ID.test(id))
    throw new GfsError("InvalidArgument", "The id of an access key has 3 to 128 letters, digits and _.");
  if (!SECRET.test(secret)) {
    throw new GfsError("InvalidArgument", "The secret of an access key has 8 to 128 printable ASCII characters.");
  }
  return {
    id,
    secret,
    user,
    grants: grants.map(checkedGrant),
    createdMs: nowMs,
    ...(createdBy === undefined ? {} : { createdBy }),
    ...(lifetimeMs === undefined
      ? {}
      : { expiresMs: nowMs + Math.floor(lifetimeMs), sessionToken: generateSessionToken(random) }),
  };
}

function checkedGrant({ path, role }: AccessGrant): AccessGrant {
  if (!ROLES.includes(role)) throw new GfsError("InvalidArgument", `A role is one of ${ROLES.join(", ")}.`);
  const bare = path.replace(/^\//, "").replace(/\/$/, "");
  if (bare !== "") parseKey(bare);
  return { path: bare, role };
}
