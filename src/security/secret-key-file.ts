import { link, open, readFile, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fromErrno, GfsError } from "../core/errors.ts";
import type { Random } from "../core/ports/random.ts";
import { createSecretBox, SECRET_KEY_BYTES, type SecretBox } from "./secret-box.ts";

const NAME = "secret.key";
const OTHERS_MAY = 0o077;

/** The box whose key lies in `secret.key` of this directory, made at the first start, readable by this user alone. */
export async function openSecretBox(directory: string, random: Random): Promise<SecretBox> {
  const path = join(directory, NAME);
  try {
    const known = await readKey(path);
    return createSecretBox(known ?? (await makeKey(path, random)), random);
  } catch (error) {
    throw fromErrno(error, "security.secret_key", { path });
  }
}

async function readKey(path: string): Promise<Buffer | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & OTHERS_MAY) !== 0) {
      throw new GfsError(
        "ConfigInvalid",
        `Others may read ${path}, which seals all access keys; run chmod 600 ${path}.`,
      );
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
  const key = Buffer.from(text.trim(), "hex");
  if (key.byteLength === SECRET_KEY_BYTES) return key;
  throw new GfsError(
    "DataCorrupt",
    `${path} does not hold ${SECRET_KEY_BYTES * 2} hex digits; bring it back from a backup. Without it the access keys of this catalog are lost.`,
  );
}

/** Under its name only once it is whole and on the disk; of several processes that start at once, one wins and the others read. */
async function makeKey(path: string, random: Random): Promise<Buffer> {
  const key = Buffer.from(random.bytes(SECRET_KEY_BYTES));
  const draft = `${path}.${Buffer.from(random.bytes(8)).toString("hex")}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(`${key.toString("hex")}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EEXIST") throw error;
  } finally {
    await unlink(draft);
  }
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return (await readKey(path)) as Buffer;
}
