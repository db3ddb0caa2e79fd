import { backgroundCtx } from "../../../src/core/context.ts";
import type { ObjectInfo, PartBody, Store } from "../../../src/stores/index.ts";

/** What the cases of the suite share: a store, prefixes of their own, and the small steps that every one of them takes. */

export interface Suite {
  readonly store: Store;
  readonly options: SuiteOptions;
  /** Every case works below a prefix of its own, so that cases do not see each other's objects. */
  fresh(): string;
  test(title: string, work: () => Promise<void>, timeoutMs?: number): void;
}

export interface OpenedStore {
  readonly store: Store;
  close(): Promise<void>;
}

export interface SuiteOptions {
  /** Puts layers around the driver. */
  readonly wrap?: (store: Store) => Store;
  /** How often the listing is held against a model; each run writes some dozen objects. */
  readonly modelRuns?: number;
  /** Cases that this site cannot pass for a reason that is the site's, by a part of their title, with the reason. */
  readonly except?: Readonly<Record<string, string>>;
}

export const ctx = backgroundCtx({ requestId: "conformance" });

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export async function putObject(
  store: Store,
  key: string,
  body: Uint8Array | string,
  options: Parameters<Store["stage"]>[2] & { sha256?: string } = {},
): Promise<ObjectInfo> {
  const { sha256, ...stage } = options;
  const staged = await store.stage(ctx, key, stage);
  const bytes = Buffer.from(body as Uint8Array);
  const middle = Math.floor(bytes.length / 2);
  await staged.write(bytes.subarray(0, middle));
  await staged.write(bytes.subarray(middle));
  await staged.seal(sha256 === undefined ? {} : { sha256 });
  return await staged.commit(ctx);
}

export async function readObject(store: Store, key: string, options?: Parameters<Store["get"]>[2]): Promise<Buffer> {
  return await collect((await store.get(ctx, key, options)).stream);
}

export function part(bytes: Buffer): PartBody {
  return {
    sizeBytes: bytes.length,
    async *open() {
      for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
    },
  };
}
