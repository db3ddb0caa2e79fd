/** A process to be killed: commits numbered transactions, several at once, and prints the number of each that was acknowledged. */
import { writeSync } from "node:fs";
import { openLmdbKv, type Program, type Transaction } from "../../../src/kv/index.ts";
import { COUNT, LOG, ROWS, rowOf, valueOf } from "./crash-rows.ts";

const [directory, first] = process.argv.slice(2) as [string, string];
const WRITERS = 4;

const kv = await openLmdbKv({ path: directory });
let next = Number(first);
writeSync(1, "open\n");

const writeOne = async (number: number): Promise<void> => {
  await kv.transact(function* (tx: Transaction): Program<void> {
    const before = yield* tx.get(COUNT);
    const count = Buffer.alloc(8);
    count.writeDoubleBE((before === undefined ? 0 : Buffer.from(before).readDoubleBE()) + 1);
    tx.put(COUNT, count);
    for (let index = 0; index < ROWS; index++) tx.put(rowOf(number, index), valueOf(number, index));
    tx.append(LOG, valueOf(number, 0));
  });
  writeSync(1, `${number}\n`);
};

await Promise.all(
  Array.from({ length: WRITERS }, async () => {
    for (;;) await writeOne(next++);
  }),
);
