/** A process to be killed: writes objects through a whole coordinator and prints the key of each that was acknowledged. */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { flakyStore } from "../../../src/coordinator/testing/flaky-store.ts";
import { startRig } from "../../../src/coordinator/testing/rig.ts";
import { openLmdbKv } from "../../../src/kv/index.ts";
import { openFileStore } from "../../../src/stores/index.ts";
import { bodyOf } from "./bodies.ts";

const [directory, round] = process.argv.slice(2) as [string, string];
const WRITERS = 4;

const kv = await openLmdbKv({ path: join(directory, "catalog") });
const cloud = flakyStore(await openFileStore({ root: join(directory, "cloud") }));
// What it gets is for the next process to bring there.
cloud.failing.add("*");
const rig = await startRig({
  kv,
  sites: [
    { name: "local", role: "primary", store: await openFileStore({ root: join(directory, "local") }) },
    { name: "cloud", role: "burst", store: cloud },
  ],
});
writeSync(1, "open\n");

await Promise.all(
  Array.from({ length: WRITERS }, async (_, writer) => {
    for (let number = 0; ; number++) {
      // Some are replaced a while later.
      const key = `${writer}/${number % 3 === 2 ? number - 2 : number}`;
      const body = bodyOf(`${round} ${writer} ${number}`);
      writeSync(1, `begin ${key} ${round} ${writer} ${number}\n`);
      await rig.put(key, body);
      writeSync(1, `done ${key} ${round} ${writer} ${number}\n`);
    }
  }),
);
