import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Client, Download } from "@globalfs/client";
import type { CliContext } from "../context.ts";
import type { Progress } from "../progress.ts";
import { BrokenPipe, writeTo } from "../terminal.ts";
import { type CopyWork, counted } from "./work.ts";

export async function getObject(client: Client, key: string, signal: AbortSignal): Promise<Download> {
  const download = await client.get(key, { signal });
  if (download === undefined) throw new Error("A download without a condition came back as not modified.");
  return download;
}

/** Lets the reader of stdout set the pace, and stops quietly when it goes away. */
export async function copyToStdout(context: CliContext, download: Download, progress: Progress): Promise<void> {
  const { stdout } = context.terminal;
  const gone = new AbortController();
  const onError = (): void => gone.abort(new BrokenPipe());
  stdout.once("error", onError);
  try {
    for await (const piece of counted(download.body, progress)) {
      if (gone.signal.aborted) throw new BrokenPipe();
      await writeTo(stdout, piece);
    }
  } finally {
    stdout.off("error", onError);
    download.body.destroy();
  }
}

/** The file appears under its name only once all of it is there; what was there before stays until then. */
export async function copyToFile(download: Download, path: string, progress: Progress, signal: AbortSignal) {
  const partial = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.part`);
  try {
    const file = createWriteStream(partial, { flags: "wx", flush: true });
    await pipeline(download.body, (source: Readable) => counted(source, progress), file, { signal });
    await rename(partial, path);
  } catch (error) {
    download.body.destroy();
    await rm(partial, { force: true });
    if ((error as { path?: unknown }).path === partial) Object.assign(error as object, { path });
    throw error;
  }
}

export async function downloadFile(context: CliContext, client: Client, key: string, path: string, work: CopyWork) {
  const download = await getObject(client, key, context.signal);
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (error) {
    download.body.destroy();
    throw error;
  }
  await copyToFile(download, path, work.progress, context.signal);
}
