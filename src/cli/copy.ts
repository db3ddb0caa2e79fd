import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Client } from "@globalfs/client";
import { GfsError } from "../core/errors.ts";
import type { CliContext } from "./context.ts";
import type { Location } from "./location.ts";
import type { Progress } from "./progress.ts";
import { copyToFile, counted, getObject, makeParent } from "./transfer.ts";

/** What one copy did, and what it could not do. */
export interface CopyTally {
  files: number;
  bytes: number;
  readonly pendingSites: Set<string>;
  /** One sentence for each that was left out. */
  readonly refused: string[];
}

export interface CopyWork {
  readonly from: Location;
  readonly to: Location;
  readonly tally: CopyTally;
  readonly progress: Progress;
}

export async function uploadFile(context: CliContext, client: Client, path: string, key: string, work: CopyWork) {
  const { size } = await fileSize(path);
  const stream = createReadStream(path, { highWaterMark: 256 * 1024, ...(size === 0 ? {} : { end: size - 1 }) });
  try {
    await upload(context, client, stream, key, work, { size });
  } finally {
    stream.destroy();
  }
}

export async function upload(
  { signal }: CliContext,
  client: Client,
  source: AsyncIterable<Uint8Array>,
  key: string,
  { progress, tally }: CopyWork,
  options: {
    readonly size?: number;
    readonly contentType?: string;
    readonly metadata?: Readonly<Record<string, string>>;
  } = {},
): Promise<void> {
  const { pendingSites } = await client.put(key, counted(source, progress), { ...options, signal });
  for (const site of pendingSites) tally.pendingSites.add(site);
}

/** There is no copy on the server's side; the bytes pass through here, with their type and metadata. */
export async function copyWithin(context: CliContext, client: Client, from: string, to: string, work: CopyWork) {
  const download = await getObject(client, from, context.signal);
  try {
    const { size, contentType, metadata } = download.info;
    await upload(context, client, download.body, to, work, {
      size,
      metadata,
      ...(contentType === undefined ? {} : { contentType }),
    });
  } finally {
    download.body.destroy();
  }
}

export async function downloadFile(context: CliContext, client: Client, key: string, path: string, work: CopyWork) {
  const download = await getObject(client, key, context.signal);
  try {
    await makeParent(path);
  } catch (error) {
    download.body.destroy();
    throw error;
  }
  await copyToFile(download, path, work.progress, context.signal);
}

export async function fileSize(path: string): Promise<{ readonly size: number }> {
  const info = await stat(path);
  if (info.isDirectory()) throw new GfsError("IsADirectory", `${path} is a directory; add -r to copy what is in it.`);
  return info;
}
