/** Another process: commits one number after the other, each once it is told to, in each way in turn, and says which one is done. */
import { createInterface } from "node:readline";
import { openLmdbKv, type Program, type Transaction } from "../../../src/kv/index.ts";

const kv = await openLmdbKv({ path: process.argv[2] as string });
process.stdout.write("open\n");
for await (const line of createInterface({ input: process.stdin })) {
  const program = function* (tx: Transaction): Program<void> {
    tx.put(Buffer.from("number"), Buffer.from(line));
  };
  if (Number(line) % 3 === 0) await kv.transact(program);
  else if (Number(line) % 3 === 1) await kv.transact(program, { durability: "visible" });
  else kv.transactSync?.(program);
  process.stdout.write(`${line}\n`);
}
await kv.close();
