import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { UsageError } from "../failure.ts";
import type { Location } from "../location.ts";
import { copyToFile, copyToStdout, getObject } from "./download.ts";
import { copyWithin, uploadFile, uploadStream } from "./upload.ts";
import type { CopyWork } from "./work.ts";

export async function copyOne(work: CopyWork, from: Location, target: Location): Promise<void> {
  const { client, context, progress } = work;
  const to = await intoDirectory(target, from);
  if (from.at === "gfs" && to.at === "gfs") {
    await copyWithin(work, from.key, to.key);
  } else if (from.at === "gfs") {
    const download = await getObject(client, from.key, context.signal);
    if (to.at === "local") await copyToFile(download, to.path, progress, context.signal);
    else await copyToStdout(context, download, progress);
  } else if (to.at === "gfs") {
    if (from.at === "local") await uploadFile(work, from.path, to.key);
    else await uploadStream(work, context.terminal.stdin, to.key);
  }
}

/** A target that is a directory takes the source under its own name. */
async function intoDirectory(to: Location, from: Location): Promise<Location> {
  const name = from.at === "gfs" ? basename(from.key) : from.at === "local" ? basename(from.path) : undefined;
  if (to.at === "gfs" && (to.key === "" || to.key.endsWith("/"))) {
    if (name === undefined)
      throw new UsageError("What comes from stdin has no name; write the whole key as the target.");
    return { at: "gfs", key: to.key + name };
  }
  if (to.at === "local") {
    const isDirectory = to.path.endsWith("/") || (await stat(to.path).catch(() => undefined))?.isDirectory() === true;
    if (isDirectory && name !== undefined) return { at: "local", path: join(to.path, name) };
  }
  return to;
}
