import { afterEach, beforeEach, expect, test } from "vitest";
import { type Clock, systemClock } from "../../core/ports/clock.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createMemoryKv, type Kv, type Program } from "../../kv/index.ts";
import { createSecretBox } from "../../security/index.ts";
import { accessKeyRow } from "./access-key-rows.ts";
import type { CreateAccessKey, KnownAccessKey } from "../service/service.ts";
import { type Rig, rigCtx, startRig } from "../testing/rig.ts";

let rig: Rig;
let kv: Kv;
let nowMs: number;
/** Only the wall moves: what else the coordinator does by the clock is of no interest here. */
const clock: Clock = { ...systemClock, nowMs: () => nowMs };
beforeEach(async () => {
  kv = createMemoryKv();
  nowMs = Date.UTC(2030, 0, 1);
  rig = await startRig({ kv, clock });
});
afterEach(async () => await rig.stop());

const create = async (request: Partial<CreateAccessKey> = {}): Promise<KnownAccessKey> =>
  await rig.coordinator.createAccessKey(rigCtx, { user: "alice", grants: [{ path: "", role: "admin" }], ...request });
const find = (id: string): KnownAccessKey | undefined =>
  rig.coordinator.findAccessKey(id) as KnownAccessKey | undefined;

test("an access key is made, listed without its secret, found at once and deleted", async () => {
  const key = await create({ grants: [{ path: "/data/raw/", role: "writer" }] });
  expect(key.grants).toEqual([{ path: "data/raw", role: "writer" }]);
  expect(find(key.id)).toEqual(key);
  expect(find(key.id)).toBe(find(key.id));
  const { secret: _, ...shown } = key;
  expect(await rig.coordinator.listAccessKeys(rigCtx)).toEqual([shown]);
  await rig.coordinator.deleteAccessKey(rigCtx, key.id);
  expect(find(key.id)).toBeUndefined();
  await expect(rig.coordinator.deleteAccessKey(rigCtx, key.id)).rejects.toMatchObject({ code: "NotFound" });
});

test("the catalog does not tell the secret", async () => {
  const key = await create({ lifetimeMs: 60_000 });
  const row = await kv.view((tx) => tx.get(accessKeyRow(key.id)));
  const text = Buffer.from(row as Uint8Array).toString();
  expect(text).toContain("alice");
  expect(text).not.toContain(key.secret);
  expect(text).not.toContain(key.sessionToken);
});

test("another process's new key is found, and a replaced one is not mistaken for the old", async () => {
  const other = await startRig({ kv, clock });
  const brought = { id: "BROUGHT", secret: "secret-one" };
  await create(brought);
  const search = (): unknown => other.coordinator.findAccessKey("BROUGHT");
  expect(search()).toMatchObject({ secret: "secret-one" });
  await rig.coordinator.deleteAccessKey(rigCtx, "BROUGHT");
  expect(search()).toBeUndefined();
  await create({ ...brought, secret: "secret-two" });
  expect(search()).toMatchObject({ secret: "secret-two" });
  await other.stop();
});

test("a key with a lifetime has a session token and says when it expired; long after, it is swept", async () => {
  const key = await create({ lifetimeMs: 60_000 });
  expect(key.sessionToken).toMatch(/^[\w-]{64}$/);
  expect(key.expiresMs).toBe(nowMs + 60_000);
  nowMs += 8 * 86_400_000;
  expect(find(key.id)?.expiresMs).toBeLessThan(nowMs);
  const lasting = await create();
  expect((await rig.coordinator.listAccessKeys(rigCtx)).map(({ id }) => id)).toEqual([lasting.id]);
});

test("many keys that ended long ago go with those that are made next, and keep no place", async () => {
  for (let index = 0; index < 60; index++) await create({ lifetimeMs: 60_000 });
  nowMs += 8 * 86_400_000;
  await create();
  const left = async (): Promise<number> => (await rig.coordinator.listAccessKeys(rigCtx)).length;
  expect(await left()).toBe(11);
  await create();
  expect(await left()).toBe(2);
});

test("a grant that was changed in the catalog makes the key useless", async () => {
  const key = await create({ grants: [{ path: "a", role: "reader" }] });
  await kv.transact(function* (tx): Program<void> {
    const row = Buffer.from((yield* tx.get(accessKeyRow(key.id))) as Uint8Array).toString();
    tx.put(accessKeyRow(key.id), Buffer.from(row.replace('"reader"', '"admin"')));
  });
  expect(() => find(key.id)).toThrow(/cannot be opened/);
});

test("with another secret.key the keys are listed and deleted, but of no use", async () => {
  const key = await create();
  const other = await startRig({
    kv,
    clock,
    overrides: { secrets: createSecretBox(new Uint8Array(32), seededRandom(1)) },
  });
  expect(() => other.coordinator.findAccessKey(key.id)).toThrow(/Bring back the file/);
  expect(await other.coordinator.listAccessKeys(rigCtx)).toHaveLength(1);
  await other.coordinator.deleteAccessKey(rigCtx, key.id);
  await other.stop();
});

test.each([
  [{ user: "" }, /user's name/],
  [{ user: "a/b" }, /user's name/],
  [{ grants: [] }, /grants/],
  [{ grants: [{ path: "a/../b", role: "reader" as const }] }, /names no file/],
  [{ grants: [{ path: "a//b", role: "reader" as const }] }, /two slashes/],
  [{ grants: [{ path: "", role: "king" as "admin" }] }, /role/],
  [{ lifetimeMs: 1 }, /one second/],
  [{ lifetimeMs: Number.NaN }, /one second/],
  [{ id: "ABC" }, /both/],
  [{ id: "A/B", secret: "12345678" }, /id of an access key/],
  [{ id: "ABC", secret: "short" }, /secret of an access key/],
])("%j is refused", async (request, message) => {
  await expect(create(request)).rejects.toThrow(message);
  expect(await rig.coordinator.listAccessKeys(rigCtx)).toEqual([]);
});

test("an id is taken once", async () => {
  await create({ id: "ABC", secret: "12345678" });
  await expect(create({ id: "ABC", secret: "87654321" })).rejects.toMatchObject({ code: "AlreadyExists" });
  expect(find("ABC")?.secret).toBe("12345678");
  for (const odd of ["", "a", "../..", "A".repeat(200), "ü"]) expect(find(odd)).toBeUndefined();
});
