import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Client } from "@globalfs/client";
import type { CliContext } from "../context.ts";
import { UsageError } from "../failure.ts";
import type { Location } from "../location.ts";
import { copyToFile, copyToStdout, getObject } from "./download.ts";
import { copyWithin, upload, uploadFile } from "./upload.ts";
import type { CopyWork } from "./work.ts";

export async function copyOne(context: CliContext, client: Client, work: CopyWork): Promise<void> {
  const { from, progress } = work;
  const to = await intoDirectory(work.to, from);
  if (from.at === "gfs" && to.at === "gfs") {
    await copyWithin(context, client, from.key, to.key, work);
  } else if (from.at === "gfs") {
    const download = await getObject(client, from.key, context.signal);
    if (to.at === "local") await copyToFile(download, to.path, progress, context.signal);
    else await copyToStdout(context, download, progress);
  } else if (to.at === "gfs") {
    if (from.at === "local") await uploadFile(context, client, from.path, to.key, work);
    else await upload(context, client, context.terminal.stdin, to.key, work);
  }
  work.tally.files += 1;
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
