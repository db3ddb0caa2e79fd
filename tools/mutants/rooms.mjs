// Which sources a room has, and which tests have to notice that one of them is another program.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Suites of a room that do not lie beside its sources. Those at servers skip themselves where these are not installed. */
const SUITES = {
  kv: ["tests/conformance/kv/"],
  stores: [
    "tests/conformance/store/azure.test.ts",
    "tests/conformance/store/s3.test.ts",
    "tests/conformance/store/file.test.ts",
    "tests/conformance/store/layered.test.ts",
    "tests/conformance/store/memory.test.ts",
    "tests/sim/disk/",
  ],
};
/** Rooms above the promises: these are of what lies below them. */
const ABOVE = ["cli"];
/** What holds the promises to users. */
const PROMISES = ["tests/semantics/", "tests/sim/"];
/** A minute and more, for what the others beside it notice as well. */
const SLOW = ["tests/sim/crash-steps.test.ts", "tests/sim/crash-renames.test.ts"];

export const ROOMS = [
  "kv",
  "namespace",
  "stores",
  "cache",
  "placement",
  "mover",
  "coordinator",
  "core",
  "security",
  "cli",
];

/** `room` is one of `ROOMS` or a directory in one, as `stores/layers`. */
export function sourcesOf(root, room) {
  return below(root, "src", `src/${room}/`).filter(
    (file) => !file.endsWith(".test.ts") && !file.includes("/testing/") && !file.endsWith(".d.ts"),
  );
}

/** The room's own tests, or those of a directory in it, and the others, each as paths from the root. */
export function testsOf(root, room, { slow = false } = {}) {
  const top = room.split("/")[0];
  const tests = below(root, "tests", "tests/").filter(
    (file) => file.endsWith(".test.ts") && (slow || !SLOW.includes(file)),
  );
  const suites = tests.filter((file) => (SUITES[top] ?? []).some((start) => file.startsWith(start)));
  const inRoom = below(root, "src", `src/${room}/`).filter((file) => file.endsWith(".test.ts"));
  const beside = below(root, "src", `src/${top}/`).filter((file) => file.endsWith(".test.ts"));
  const own = room === top ? [...inRoom, ...suites] : inRoom;
  const promises = ABOVE.includes(top) ? [] : tests.filter((file) => PROMISES.some((start) => file.startsWith(start)));
  return { own, others: [...new Set([...beside, ...suites, ...promises])].filter((file) => !own.includes(file)) };
}

/** Tests that start programs of their own, whose statements no probe sees; they run whenever the others have noticed nothing. */
export function startsPrograms(root, test) {
  return /programs\/bundle|node:child_process/.test(readFileSync(join(root, test), "utf8"));
}

function below(root, directory, start) {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .map((file) => `${directory}/${file}`)
    .filter((file) => file.startsWith(start) && file.endsWith(".ts"))
    .sort();
}
