/** Another process: commits one number after the other, each once it is told to, and says which one is durable. */
import { createInterface } from "node:readline";
import { openLmdbKv, type Program } from "../../../src/kv/index.ts";

const kv = await openLmdbKv({ path: process.argv[2] as string });
process.stdout.write("open\n");
for await (const line of createInterface({ input: process.stdin })) {
  await kv.transact(function* (tx): Program<void> {
    tx.put(Buffer.from("number"), Buffer.from(line));
  });
  process.stdout.write(`${line}\n`);
}
await kv.close();
