import { describe, expect, test } from "vitest";
import { editDistance, nearestName } from "./nearest.ts";

describe("the nearest name", () => {
  const known = ["listen_addr", "lease_timeout", "etcd_endpoints", "kv"];

  test("is the one a slip of the finger away", () => {
    expect(nearestName("listen_adr", known)).toBe("listen_addr");
    expect(nearestName("lisetn_addr", known)).toBe("listen_addr");
    expect(nearestName("LISTEN_ADDR", known)).toBe("listen_addr");
    expect(nearestName("vk", known)).toBe("kv");
  });

  test("is none when nothing is close", () => {
    expect(nearestName("colour", known)).toBeUndefined();
    expect(nearestName("x", known)).toBeUndefined();
    expect(nearestName("listen", [])).toBeUndefined();
  });

  test.each([
    ["", "abc", 3],
    ["abc", "", 3],
    ["abc", "acb", 1],
    ["abc", "abcd", 1],
    ["abc", "xyz", 3],
    ["same", "same", 0],
  ])("from %j to %j takes %i changes", (left, right, changes) => {
    expect(editDistance(left, right)).toBe(changes);
  });
});
