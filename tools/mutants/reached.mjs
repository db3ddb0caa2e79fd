// Runs beside the tests of a probed tree, and writes down which probes each of them reached.
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach } from "vitest";

// Modules are shared by the tests of a thread, and so is what they reach when they are loaded.
const state = (globalThis.__reachedState ??= { outside: new Set(), current: undefined });
globalThis.__reached = (probe) => (state.current ?? state.outside).add(probe);

const tests = {};
let startedMs = 0;

beforeEach(() => {
  state.current = new Set();
  startedMs = performance.now();
});
afterEach(({ task }) => {
  tests[task.id] = { file: task.file.filepath, ms: performance.now() - startedMs, probes: [...state.current] };
  state.current = undefined;
});
afterAll(() => {
  const path = join(process.env.GLOBALFS_REACHED, `${randomUUID()}.json`);
  writeFileSync(path, JSON.stringify({ tests, outside: [...state.outside] }));
});
