import type { Random } from "../core/ports/random.ts";

const ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ID_PREFIX = "GFSK";
const ID_LENGTH = 20;
const SECRET_BYTES = 30;
const TOKEN_BYTES = 48;

/** As long as AWS's, so that tools which look at their shape take them: 20 letters, and 40 characters of secret. */
export function generateAccessKeyPair(random: Random): { readonly id: string; readonly secret: string } {
  let id = ID_PREFIX;
  for (const byte of random.bytes(ID_LENGTH - ID_PREFIX.length)) id += ID_LETTERS[byte % ID_LETTERS.length] as string;
  return { id, secret: Buffer.from(random.bytes(SECRET_BYTES)).toString("base64url") };
}

export function generateSessionToken(random: Random): string {
  return Buffer.from(random.bytes(TOKEN_BYTES)).toString("base64url");
}
