import type { PutBody } from "@globalfs/client";
import { getObject } from "./download.ts";
import { localBody, openLocalSource } from "./local-source.ts";
import { type CopyWork, counted } from "./work.ts";

export interface Described {
  readonly size?: number;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export async function uploadFile(work: CopyWork, path: string | Buffer, key: string): Promise<void> {
  const { body, size } = localBody(await openLocalSource(path), work.progress);
  await store(work, key, body, size === undefined ? {} : { size });
}

export async function uploadStream(
  work: CopyWork,
  source: AsyncIterable<Uint8Array>,
  key: string,
  described: Described = {},
): Promise<void> {
  await store(work, key, counted(source, work.progress), described);
}

async function store(
  { client, context, tally }: CopyWork,
  key: string,
  body: PutBody,
  described: Described,
): Promise<void> {
  const { pendingSites } = await client.put(key, body, { ...described, signal: context.signal });
  for (const site of pendingSites) tally.pendingSites.add(site);
}

/** There is no copy on the server's side; the bytes pass through here, with their type and metadata. */
export async function copyWithin(work: CopyWork, from: string, to: string): Promise<void> {
  const download = await getObject(work.client, from, work.context.signal);
  try {
    const { size, contentType, metadata } = download.info;
    await uploadStream(work, download.body, to, {
      size,
      metadata,
      ...(contentType === undefined ? {} : { contentType }),
    });
  } finally {
    download.body.destroy();
  }
}
