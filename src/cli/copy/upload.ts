import type { PutBody } from "@globalfs/client";
import { absenceOf } from "../absent.ts";
import { localBody, openLocalSource } from "./local-source.ts";
import { type CopyWork, counted } from "./work.ts";

export async function uploadFile(work: CopyWork, path: string | Buffer, key: string): Promise<void> {
  const { body, size } = localBody(await openLocalSource(path), work.progress);
  await store(work, key, body, size === undefined ? {} : { size });
}

export async function uploadStream(work: CopyWork, source: AsyncIterable<Uint8Array>, key: string): Promise<void> {
  await store(work, key, counted(source, work.progress));
}

async function store(
  { client, context, tally }: CopyWork,
  key: string,
  body: PutBody,
  described: { readonly size?: number } = {},
): Promise<void> {
  const { pendingSites } = await client.put(key, body, { ...described, signal: context.signal });
  for (const site of pendingSites) tally.pendingSites.add(site);
}

/** Nothing of it passes through here; it counts as whole files. */
export async function copyWithin(
  { client, context, tally, progress }: CopyWork,
  from: string,
  to: string,
): Promise<void> {
  const { signal } = context;
  const { size, pendingSites } = await client
    .copy({ from, to, overwrite: true }, { signal })
    .catch(async (error: unknown) => {
      if ((error as { code?: unknown }).code !== "NotFound") throw error;
      throw await absenceOf(client, from, { signal, forDirectories: "globalfs cp -r" });
    });
  for (const site of pendingSites) tally.pendingSites.add(site);
  progress.advance(size);
}
