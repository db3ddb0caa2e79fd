import { expect, test } from "vitest";
import { parseMountTable } from "./mount-table.ts";

test("the mount table is read with optional fields and escaped names", () => {
  const text = [
    "26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw",
    "90 26 0:45 / /tmp/with\\040space\\134 rw - fuse.some name\\040here rw,user_id=0",
    "not a line",
    "",
  ].join("\n");
  expect(parseMountTable(text)).toEqual([
    { device: "254:0", directory: "/", type: "ext4", source: "/dev/root" },
    { device: "0:45", directory: "/tmp/with space\\", type: "fuse.some", source: "name here" },
  ]);
});
