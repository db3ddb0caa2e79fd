import { GfsError } from "../../core/errors.ts";
import { decodeKey, encodeKey, type Key, tail } from "../../kv/index.ts";
import type { SecretBox } from "../../security/index.ts";
import type { AccessGrant, AccessKey, KnownAccessKey } from "../service/access-keys.ts";

/** Rows of the space `k`: all of a key is legible but its secret and its session token, which are sealed, bound to everything else. */
const SPACE = "k";

export const accessKeySpace = encodeKey(SPACE);

export function accessKeyRow(id: string): Key {
  return encodeKey(SPACE, tail(id));
}

export function idOfAccessKeyRow(key: Key): string {
  return decodeKey(key, ["tail"])[0] as string;
}

interface Row {
  readonly user: string;
  readonly grants: readonly AccessGrant[];
  readonly createdMs: number;
  readonly expiresMs?: number;
  readonly createdBy?: string;
  readonly sealed: string;
}

export function encodeAccessKey(key: KnownAccessKey, box: SecretBox): Buffer {
  const { id: _, secret, sessionToken, ...open } = key;
  const hidden = JSON.stringify({ secret, ...(sessionToken === undefined ? {} : { sessionToken }) });
  return Buffer.from(JSON.stringify({ ...open, sealed: box.seal(hidden, labelOf(key)) } satisfies Row));
}

export function decodeAccessKey(id: string, value: Uint8Array): AccessKey {
  const { sealed: _, ...open } = parse(value);
  return { id, ...open };
}

export function openAccessKey(id: string, value: Uint8Array, box: SecretBox): KnownAccessKey {
  const { sealed, ...open } = parse(value);
  const key: AccessKey = { id, ...open };
  const hidden = JSON.parse(box.open(sealed, labelOf(key))) as Pick<KnownAccessKey, "secret" | "sessionToken">;
  return { ...key, ...hidden };
}

/** A grant that was changed in the catalog behind our back makes the key useless instead of mightier. */
function labelOf({ id, user, grants, createdMs, expiresMs, createdBy }: AccessKey): string {
  const pairs = grants.map(({ path, role }) => [path, role]);
  return `access-key:${JSON.stringify([id, user, pairs, createdMs, expiresMs ?? 0, createdBy ?? ""])}`;
}

function parse(value: Uint8Array): Row {
  try {
    return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()) as Row;
  } catch (error) {
    throw new GfsError("DataCorrupt", "The row of an access key is unreadable; delete the key and make another.", {
      cause: error,
    });
  }
}
