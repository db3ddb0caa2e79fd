import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import readline from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { encodeKey, type Kv, openLmdbKv, openLmdbReader, type Program, type Reader } from "../../../src/kv/index.ts";
import { bundle, type Bundle } from "../../programs/bundle.ts";

let writer: Bundle;
let catalog: string;

beforeAll(async () => {
  writer = await bundle(path.join(import.meta.dirname, "counting-writer.ts"));
  catalog = path.join(writer.directory, "catalog");
});
afterAll(async () => await writer.remove());

function numberOf(kv: Kv): string | undefined {
  const value = kv.viewSync?.(function* (tx: Reader) {
    return yield* tx.get(Buffer.from("number"));
  });
  return value === undefined ? undefined : Buffer.from(value).toString();
}

it("A reader sees at once what another process has committed, and writes nothing", async () => {
  const child = spawn(process.execPath, [writer.path, catalog], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("open");
  const kv = await openLmdbReader(catalog);
  let revision = await kv.revision();
  for (let number = 1; number <= 300; number++) {
    // A look before the commit leaves a snapshot behind that must not answer the look after it.
    numberOf(kv);
    child.stdin.write(`${number}\n`);
    expect((await lines.next()).value).toBe(String(number));
    expect(numberOf(kv)).toBe(String(number));
    const next = kv.revisionSync?.() ?? 0;
    expect(next).toBeGreaterThan(revision);
    revision = next;
  }
  const write = kv.transact(function* (tx): Program<void> {
    tx.put(Buffer.from("number"), Buffer.from("0"));
  });
  await expect(write).rejects.toMatchObject({ code: "ReadOnly" });
  await expect(kv.lease(1_000)).rejects.toMatchObject({ code: "ReadOnly" });
  expect((await kv.stats()).entries).toBe(1);
  await kv.close();
  expect(() => numberOf(kv)).toThrow("closed");
  child.stdin.end();
  expect(await once(child, "exit")).toEqual([0, null]);
});

it("A reader lists a range, and refuses a directory without a catalog", async () => {
  const place = path.join(writer.directory, "ranged");
  const owner = await openLmdbKv({ path: place });
  await owner.transact(function* (tx): Program<void> {
    for (let number = 0; number < 100; number++) tx.put(encodeKey("row", number), Buffer.from(String(number)));
  });
  const kv = await openLmdbReader(place);
  const rows = await kv.view((tx) => tx.range({ start: encodeKey("row", 10), end: encodeKey("row", 20), limit: 100 }));
  expect(rows.map(({ value }) => Number(Buffer.from(value).toString()))).toEqual([
    10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
  ]);
  await kv.close();
  await owner.close();
  await expect(openLmdbReader(path.join(writer.directory, "nowhere"))).rejects.toMatchObject({ code: "Unavailable" });
});
