import type { Dirent } from "node:fs";
import { mkdir, opendir, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { GfsError } from "../../core/errors.ts";
import { countFailure, leaveOut } from "../tally.ts";
import { shownPath, textOfName } from "./local-names.ts";
import type { CopyWork } from "./work.ts";

export interface LocalFile {
  /** As bytes, as it is found under them whatever they mean. */
  readonly path: Buffer;
  /** Below the directory that the walk began with. */
  readonly relative: string;
}

const SLASH = Buffer.from("/");

/** Every regular file below a directory. What is none, cannot be named or cannot be read is in the tally. */
export async function* filesBelow(work: CopyWork, directory: string): AsyncGenerator<LocalFile> {
  if (!(await stat(directory)).isDirectory()) {
    throw new GfsError("NotADirectory", `${directory} is no directory; leave -r away.`);
  }
  yield* walk(work, Buffer.from(directory), "");
}

async function* walk(work: CopyWork, directory: Buffer, before: string): AsyncGenerator<LocalFile> {
  for await (const entry of readable(work, directory)) {
    const path = Buffer.concat([directory, SLASH, entry.name]);
    const name = textOfName(entry.name);
    if (name === undefined) omit(work, path, "InvalidName", "its name is not UTF-8, which keys must be");
    else if (entry.isDirectory()) yield* walk(work, path, `${before}${name}/`);
    else if (entry.isFile()) yield { path, relative: before + name };
    else if (entry.isSymbolicLink()) omit(work, path, "SymbolicLink", "it is a symbolic link");
    else omit(work, path, "NotAFile", "it is no regular file");
  }
}

/** As far as the directory can be read. */
async function* readable(work: CopyWork, directory: Buffer): AsyncGenerator<Dirent<Buffer>> {
  try {
    // The types know of no names as bytes here; Node does.
    const opened = await opendir(directory, { encoding: "buffer" as never });
    yield* opened as unknown as AsyncIterable<Dirent<Buffer>>;
  } catch (error) {
    countFailure(work.tally, shownPath(directory), error);
  }
}

function omit({ tally }: CopyWork, path: Buffer, code: string, reason: string): void {
  const name = shownPath(path);
  leaveOut(tally, { name, code, reason: `${name} was left out: ${reason}.` });
}

/** The directory that a tree is copied to, made where it is not there. */
export async function openTarget(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  return await realpath(directory);
}

/**
 * Makes the directory `relative` below `root`, which `openTarget` gave. Links may be a part of it as long as they do not lead out
 * of the root: what somebody else has put there must not decide where files are written.
 */
export async function makeBelow(root: string, relative: string): Promise<string> {
  let real = root;
  for (const part of relative.split("/").filter((name) => name !== "" && name !== ".")) {
    const path = join(real, part);
    await mkdir(path).catch((error: unknown) => {
      if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    });
    real = await realpath(path);
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      throw new GfsError(
        "PermissionDenied",
        `${path} is a link that leads out of ${root}; nothing is written through it.`,
      );
    }
    if (!(await stat(real)).isDirectory()) {
      throw new GfsError("NotADirectory", `${path} is a file; there is no room for a directory of that name.`);
    }
  }
  return real;
}
