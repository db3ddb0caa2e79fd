import { open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { GlobalFsError } from "./errors.ts";

/** Where the coordinator is and what it asks for, as far as it could be found; fit for `createClient`. */
export interface Connection {
  readonly endpoint?: string;
  readonly apiKey?: string;
  readonly clearText?: boolean;
  /** The file that told, if one did. */
  readonly file?: string;
}

export interface FindConnection {
  /** Where the search begins; the working directory when absent. */
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const PLACE = join(".globalfs", "rest.env");
const LONGEST_BYTES = 64 * 1024;
const OTHERS_MAY = 0o077;

/**
 * `GLOBALFS_COORDINATOR`, `GLOBALFS_API_KEY` and `GLOBALFS_CLEAR_TEXT` of the environment, then those of the nearest `.globalfs/rest.env` in the directory or above it,
 * which `globalfs up` writes. The file's key goes to the file's coordinator and to no other. A file that somebody else could have written or read is
 * refused.
 */
export async function findConnection({
  directory = process.cwd(),
  env = process.env,
}: FindConnection = {}): Promise<Connection> {
  const endpoint = nonEmpty(env["GLOBALFS_COORDINATOR"]);
  const apiKey = nonEmpty(env["GLOBALFS_API_KEY"]);
  const given = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(env["GLOBALFS_CLEAR_TEXT"] === "allow" ? { clearText: true } : {}),
  };
  if (endpoint !== undefined && apiKey !== undefined) return given;
  let found: Connection | undefined;
  try {
    found = await findFile(resolve(directory));
  } catch (error) {
    // Whoever names a coordinator, or brings a key, is not held up by a file that is none of theirs.
    if (endpoint === undefined && apiKey === undefined) throw error;
  }
  if (found === undefined) return given;
  if (endpoint !== undefined && !isSame(endpoint, found.endpoint)) return given;
  return { ...found, ...given };
}

async function findFile(start: string): Promise<Connection | undefined> {
  for (let directory = start; ; directory = dirname(directory)) {
    const text = await readOwn(join(directory, PLACE));
    if (text !== undefined) return connectionOf(text, join(directory, PLACE));
    if (dirname(directory) === directory) return undefined;
  }
}

/** Undefined when there is no such file. What is checked is what is read: the open file, whatever its name means a moment later. */
async function readOwn(path: string): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code !== "EACCES" && code !== "EPERM") throw error;
    throw untrusted(path, "belongs to another user, or this one may not read it");
  }
  try {
    const { uid, mode, size } = await file.stat();
    if (process.getuid !== undefined && uid !== process.getuid()) throw untrusted(path, "belongs to another user");
    if (process.getuid !== undefined && (mode & OTHERS_MAY) !== 0) {
      throw new GlobalFsError(
        "ConfigInvalid",
        `Other users may read ${path}, which holds a key; run chmod 600 ${path}. If they may have read it, stop GlobalFS, remove the file and start again: that makes a new key.`,
      );
    }
    if (size > LONGEST_BYTES) throw untrusted(path, "is too large to be one of GlobalFS's");
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

function untrusted(path: string, why: string): GlobalFsError {
  return new GlobalFsError(
    "ConfigInvalid",
    `The file ${path} ${why}, and is not used. Say which coordinator you mean with GLOBALFS_COORDINATOR and GLOBALFS_API_KEY.`,
  );
}

function connectionOf(text: string, file: string): Connection {
  const value = (name: string): string | undefined =>
    new RegExp(`^export ${name}=([\\x21-\\x7e]+)$`, "m").exec(text)?.[1];
  const endpoint = value("GLOBALFS_COORDINATOR");
  const apiKey = value("GLOBALFS_API_KEY");
  return {
    file,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(apiKey === undefined ? {} : { apiKey }),
  };
}

function isSame(one: string, other: string | undefined): boolean {
  if (other === undefined || !URL.canParse(one) || !URL.canParse(other)) return false;
  return new URL(one).href === new URL(other).href;
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}
