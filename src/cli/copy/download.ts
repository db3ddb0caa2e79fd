import { createWriteStream, type WriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Client, Download } from "@globalfs/client";
import { absenceOf } from "../absent.ts";
import type { CliContext } from "../context.ts";
import type { Progress } from "../progress.ts";
import { BrokenPipe, writeTo } from "../terminal.ts";
import { counted } from "./work.ts";

export async function getObject(client: Client, key: string, signal: AbortSignal): Promise<Download> {
  try {
    return await client.get(key, { signal });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "NotFound") throw error;
    throw await absenceOf(client, key, { signal, forDirectories: "globalfs ls" });
  }
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
  const write = (file: WriteStream): Promise<void> =>
    pipeline(download.body, (source: Readable) => counted(source, progress), file, { signal });
  const partial = join(dirname(path), `.globalfs-${crypto.randomUUID()}.part`);
  try {
    if (await isDevice(path)) {
      await write(createWriteStream(path));
      return;
    }
    await write(createWriteStream(partial, { flags: "wx", flush: true }));
    await rename(partial, path);
  } catch (error) {
    download.body.destroy();
    await rm(partial, { force: true });
    if ((error as { path?: unknown }).path === partial) Object.assign(error as object, { path });
    throw error;
  }
}

/** A pipe or a device takes bytes; putting a file in its place would be a surprise, above all in /dev. */
async function isDevice(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && !info.isFile() && !info.isDirectory();
}
