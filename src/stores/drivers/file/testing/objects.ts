import { backgroundCtx } from "../../../../core/context.ts";
import type { ObjectBody, ObjectInfo, Store, WriteConditions } from "../../../store.ts";

const ctx = backgroundCtx({ requestId: "test" });

export async function put(store: Store, key: string, body: string, conditions?: WriteConditions): Promise<ObjectInfo> {
  const staged = await store.stage(ctx, key, {});
  try {
    await staged.write(Buffer.from(body));
    await staged.seal();
    return await staged.commit(ctx, conditions);
  } finally {
    await staged.abort();
  }
}

export async function collect({ stream }: ObjectBody): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
