import type { Client } from "@globalfs/client";
import type { CliContext } from "../context.ts";
import { getObject } from "./download.ts";
import { openLocalSource } from "./local-source.ts";
import { type CopyWork, counted } from "./work.ts";

export async function uploadFile(context: CliContext, client: Client, path: string, key: string, work: CopyWork) {
  const { stream, size } = await openLocalSource(path);
  try {
    await upload(context, client, stream, key, work, size === undefined ? {} : { size });
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
