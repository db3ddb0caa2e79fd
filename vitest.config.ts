import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** The runner would leave one core idle, which of two is half of the machine. */
const CORES = availableParallelism();

/** Their files wait more than they compute: for daemons, and for time that they let pass. */
const OUTSIDE = {
  pool: "forks" as const,
  testTimeout: 120_000,
  hookTimeout: 120_000,
  globalSetup: "tests/e2e/support/built.mjs",
};
/** They measure, or load the whole machine. */
const LONE = [
  "tests/e2e/many-uploads.test.ts",
  "packages/fuse/tests/postgres.test.ts",
  "packages/fuse/tests/stress.test.ts",
];

// Groups run one after the other, and the files of one in so many workers at a time. Projects with different numbers of workers
// have to be in different groups: the runner refuses them otherwise.
export default defineConfig({
  // Our own packages are tested as they are written, not as they were last built.
  ssr: { resolve: { conditions: ["@globalfs/source", "node", "module-sync", "import", "default"] } },
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
          ...OUTSIDE,
          name: "e2e",
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          include: ["tests/e2e/**/*.test.ts", "packages/*/tests/**/*.test.ts"],
          exclude: LONE,
        },
      },
      {
        extends: true,
        test: { ...OUTSIDE, name: "e2e-lone", maxWorkers: 1, sequence: { groupOrder: 2 }, include: LONE },
      },
    ],
  },
});
