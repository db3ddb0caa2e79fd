import { describe, expect, it } from "vitest";
import { SigningKeys } from "./sigv4.ts";

describe("signing keys", () => {
  it("are kept while they are used, however many others come", () => {
    const keys = new SigningKeys(2);
    const keyOf = (secret: string): Buffer => keys.keyFor({ secret, day: "20260102", region: "us-east-1" });
    const [busy, once] = [keyOf("busy"), keyOf("once")];
    for (let stranger = 0; stranger < 5; stranger++) {
      expect(keyOf("busy")).toBe(busy);
      keyOf(`stranger ${stranger}`);
    }
    expect(keyOf("once")).not.toBe(once);
    expect(keyOf("once")).toEqual(once);
  });
});
