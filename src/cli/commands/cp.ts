import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Client } from "@globalfs/client";
import { EXIT } from "../../core/errors.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { copyWithin, type CopyTally, type CopyWork, fileSize, upload, uploadFile } from "../copy.ts";
import { UsageError } from "../failure.ts";
import { type Location, locationsOf } from "../location.ts";
import { createProgress, type Progress } from "../progress.ts";
import { copyToFile, copyToStdout, getObject } from "../transfer.ts";
import { copyTree } from "./cp-tree.ts";

export async function cp(
  context: CliContext,
  source: string,
  target: string,
  options: { readonly recursive?: boolean },
): Outcome {
  const [from, to] = locationsOf(source, target);
  if (from.at !== "gfs" && to.at !== "gfs") throw new UsageError("One side must be in GlobalFS; mark it with gfs:.");
  const tally: CopyTally = { files: 0, bytes: 0, pendingSites: new Set(), refused: [] };
  return withClient(context, async (client) => {
    const progress = createProgress(context, {
      label: source,
      total: options.recursive === true ? undefined : await sizeOf(client, from),
      unit: "bytes",
    });
    const counting: Progress = {
      ...progress,
      advance(amount) {
        tally.bytes += amount;
        progress.advance(amount);
      },
    };
    try {
      if (options.recursive === true) await copyTree(context, client, { from, to, tally, progress: counting });
      else await copyOne(context, client, { from, to, tally, progress: counting });
    } finally {
      progress.end();
    }
    return report(context, tally, to);
  });
}

async function copyOne(context: CliContext, client: Client, work: CopyWork): Promise<void> {
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

async function sizeOf(client: Client, from: Location): Promise<number | undefined> {
  if (from.at === "local") return (await fileSize(from.path)).size;
  if (from.at === "gfs") return (await client.head(from.key))?.size;
  return undefined;
}

async function report(context: CliContext, tally: CopyTally, to: Location): Outcome {
  const { files, bytes, pendingSites, refused } = tally;
  if (context.json && to.at !== "stdio") {
    await printJson(context, { files, bytes, pendingSites: [...pendingSites], refused });
  }
  for (const sentence of refused) note(context, sentence);
  if (pendingSites.size > 0) note(context, `Replication still has to be queued for: ${[...pendingSites].join(", ")}.`);
  return refused.length > 0 || pendingSites.size > 0 ? EXIT.partial : undefined;
}
