import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** The runner would leave one core idle, which of two is half of the machine. */
const CORES = availableParallelism();

// Groups run one after the other, and the files of one in so many workers at a time. Projects with different numbers of workers
// have to be in different groups: the runner refuses them otherwise.
export default defineConfig({
  test: {
    pool: "threads",
    isolate: false,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          maxWorkers: CORES,
          sequence: { groupOrder: 0 },
          include: ["src/**/*.test.ts", "packages/*/src/**/*.test.ts", "tests/tidy/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "conformance",
          maxWorkers: CORES,
          sequence: { groupOrder: 0 },
          include: ["tests/conformance/**/*.test.ts", "tests/sim/**/*.test.ts", "tests/semantics/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          pool: "forks",
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
          globalSetup: "tests/e2e/support/built.mjs",
          include: ["tests/e2e/**/*.test.ts", "packages/*/tests/**/*.test.ts"],
        },
      },
    ],
  },
});
