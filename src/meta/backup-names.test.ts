import { expect, test } from "vitest";
import { backupKey, backupPrefix, readBackupName } from "./backup-names.ts";

test("names of backups are in the order of their times, and tell them", () => {
  const [one, other] = [
    { atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6), revision: 999 },
    { atMs: Date.UTC(2026, 9, 1), revision: 1_000 },
  ];
  expect(backupKey("c", one)).toBe(".globalfs/backups/c/20260102T030405006Z-999.jsonl.gz");
  expect(backupKey("c", one) < backupKey("c", other)).toBe(true);
  expect(readBackupName("c", backupKey("c", one))).toEqual(one);
  expect(readBackupName("d", backupKey("c", one))).toBeUndefined();
  expect(readBackupName("c", `${backupPrefix("c")}notes.txt`)).toBeUndefined();
  expect(backupPrefix("a/b ü")).toBe(".globalfs/backups/a_2Fb_20_C3_BC/");
});
