import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    pool: "threads",
    isolate: false,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["src/**/*.test.ts", "packages/*/src/**/*.test.ts", "tests/tidy/**/*.test.ts"] },
      },
      {
        extends: true,
        test: {
          name: "conformance",
          include: ["tests/conformance/**/*.test.ts", "tests/sim/**/*.test.ts", "tests/semantics/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          pool: "forks",
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          globalSetup: "tests/e2e/support/built.mjs",
          include: ["tests/e2e/**/*.test.ts", "tests/compat/**/*.test.ts", "packages/*/tests/**/*.test.ts"],
        },
      },
    ],
  },
});
