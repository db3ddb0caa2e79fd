import { expect, test } from "vitest";
import { backupText } from "./backup-text.ts";

const HOUR = 3_600_000;

test("a backup is told with its age, its sites, and what went wrong since", () => {
  expect(backupText({}, 0)).toBe("none yet");
  const last = { at: new Date(HOUR), key: "k", size: 1_024, sites: ["local", "cloud"] };
  expect(backupText({ last }, 4 * HOUR)).toBe("3h ago at local, cloud, 1.00 KiB");
  const failure = { at: new Date(4 * HOUR), error: "No site took the backup." };
  expect(backupText({ last, failure }, 4 * HOUR)).toBe(
    "3h ago at local, cloud, 1.00 KiB; FAILED just now: No site took the backup.",
  );
});
