import { describe, expect, it } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createKeyring, hashApiKey } from "./keyring.ts";
import { createTokenGate, isAccessToken, tokenOf } from "./tokens.ts";
import type { Identity, KnownAccessKey } from "./types.ts";

const clock = createFakeClock();
const KEY: KnownAccessKey = {
  id: "GFSKABCDEFGHIJKLMNOP",
  user: "alice",
  grants: [{ path: "data", role: "reader" }],
  createdMs: 0,
  secret: "se.cr_et",
};

function gateOf(keys: readonly KnownAccessKey[], asPromise = false) {
  const find = (id: string): KnownAccessKey | undefined => keys.find((key) => key.id === id);
  return createTokenGate({
    clock,
    keyring: createKeyring([
      { name: "boss", hash: hashApiKey("the operator") },
      { name: "scraper", hash: hashApiKey("scrape"), grants: [{ path: "", role: "reader" }] },
      { name: "guest", hash: hashApiKey("for now"), expiresMs: clock.nowMs() + 1_000 },
      { name: "trap", hash: hashApiKey(tokenOf(KEY)) },
    ]),
    findAccessKey: (id) => (asPromise ? Promise.resolve(find(id)) : find(id)),
  });
}

describe("a token", () => {
  it("is the key as one text, taken apart at its first dot and compared as a whole", () => {
    const gate = gateOf([KEY]);
    expect(tokenOf(KEY)).toBe("gfs_GFSKABCDEFGHIJKLMNOP.se.cr_et");
    expect(gate.identify(tokenOf(KEY))).toMatchObject({ user: "alice", accessKeyId: KEY.id, grants: KEY.grants });
    expect(gate.identify(tokenOf(KEY))).toBe(gate.identify(tokenOf(KEY)));
    for (const wrong of [
      "",
      "gfs_",
      `gfs_${KEY.id}`,
      `gfs_${KEY.id}.`,
      `gfs_${KEY.id}.se`,
      `${tokenOf(KEY)} `,
      `gfs_other.${KEY.secret}`,
    ])
      expect(() => gate.identify(wrong)).toThrow(expect.objectContaining({ code: "Unauthenticated" }));
  });

  it("is found without a promise or with one, as the catalog answers", async () => {
    expect(await gateOf([KEY], true).identify(tokenOf(KEY))).toMatchObject({ user: "alice" });
    await expect(gateOf([], true).identify(tokenOf(KEY)) as Promise<Identity>).rejects.toMatchObject({
      code: "Unauthenticated",
    });
  });

  it("of a temporary key needs its session token, and ends with the clock", async () => {
    const key = { ...KEY, sessionToken: "session", expiresMs: clock.nowMs() + 5_000 };
    const gate = gateOf([key]);
    expect(gate.identify(tokenOf(key))).toMatchObject({ user: "alice", expiresMs: key.expiresMs });
    expect(() => gate.identify(tokenOf(KEY))).toThrow(/not known/);
    await clock.advance(5_000);
    expect(() => gate.identify(tokenOf(key))).toThrow(/has expired/);
  });

  it("that was revoked does not come back as a key of the configuration", () => {
    expect(() => gateOf([]).identify(tokenOf(KEY))).toThrow(/not known/);
    expect(isAccessToken(tokenOf(KEY))).toBe(true);
    expect(isAccessToken("gfs_0123456789-abcdef")).toBe(false);
  });
});

describe("a key of the configuration", () => {
  it("is admin of everything, unless it has grants, and holds for ever, unless it ends", async () => {
    const gate = gateOf([]);
    expect(gate.identify("the operator")).toMatchObject({
      accessKeyId: "config:boss",
      user: "boss",
      grants: [{ path: "", role: "admin" }],
    });
    expect(gate.identify("scrape")).toMatchObject({ grants: [{ path: "", role: "reader" }] });
    const guest = gate.identify("for now");
    expect(guest).toMatchObject({ user: "guest" });
    await clock.advance(1_000);
    expect(() => gate.identify("for now")).toThrow(/has expired/);
  });
});
