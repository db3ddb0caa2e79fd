import { afterEach, expect, it } from "vitest";
import { systemClock } from "../../core/ports/clock.ts";
import { createMemoryStore, type Store } from "../../stores/index.ts";
import { BodyTurns } from "../http/index.ts";
import { serveRest, type ServedRest } from "./testing/served-rest.ts";

/** Many bodies at a time: how many are read, and who waits for whom. */

const MIB = 1024 ** 2;
let served: ServedRest | undefined;
afterEach(async () => {
  await served?.close();
  served = undefined;
});

/** Counts the writes that are under way. */
function countingStore(): { readonly store: Store; readonly most: () => number } {
  const inner = createMemoryStore({ maxBytes: 2 ** 30 });
  let now = 0;
  let most = 0;
  const store: Store = Object.assign(Object.create(inner) as Store, {
    stage: async (...args: Parameters<Store["stage"]>) => {
      const staged = await inner.stage(...args);
      let isOpen = false;
      const close = (): void => {
        if (isOpen) now -= 1;
        isOpen = false;
      };
      return {
        async write(chunk: Uint8Array) {
          if (!isOpen) now += 1;
          isOpen = true;
          most = Math.max(most, now);
          await staged.write(chunk);
        },
        seal: async (final?: Parameters<typeof staged.seal>[0]) => {
          close();
          await staged.seal(final);
        },
        commit: async (...more: Parameters<typeof staged.commit>) => await staged.commit(...more),
        async abort() {
          close();
          await staged.abort();
        },
      };
    },
  });
  return { store, most: () => most };
}

it("No more bodies are read at once than there is room for, and all of them end", async () => {
  const { store, most } = countingStore();
  served = await serveRest({
    rig: { sites: [{ name: "local", role: "primary", store }] },
    turns: new BodyTurns({ maxBytes: 4 * MIB, clock: systemClock }),
    config: { bodyIdleMs: 60_000 },
  });
  const { call } = served;
  const body = Buffer.alloc(MIB, "x");
  const statuses = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => (await call("PUT", `/api/v1/objects/${index}`, { body })).status),
  );
  expect(new Set(statuses)).toEqual(new Set([201]));
  // A body that has come gives its turn to the next before its store has sealed it.
  expect(most()).toBeLessThanOrEqual(8);
});

it("A client that stops in the midst of its body keeps nobody waiting, and may go on later", async () => {
  served = await serveRest({
    turns: new BodyTurns({ maxBytes: MIB, clock: systemClock }),
    config: { bodyIdleMs: 60_000 },
  });
  const body = Buffer.alloc(MIB, "x");
  const slow = Array.from({ length: 3 }, (_, index) =>
    (served as ServedRest).talk(
      `PUT /api/v1/objects/slow${index} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${2 * MIB}\r\nExpect: 100-continue\r\n\r\n`,
    ),
  );
  for (const { heard, socket } of slow) {
    await heard(/100 Continue/);
    socket.write(body);
  }
  for (let turn = 0; turn < 3; turn++)
    expect((await served.call("PUT", `/api/v1/objects/quick${turn}`, { body })).status).toBe(201);
  for (const { socket } of slow) socket.write(body);
  for (const { heard, socket } of slow) {
    await heard(/HTTP\/1\.1 201 /);
    socket.destroy();
  }
});

it("A client that leaves while it waits for its turn leaves nothing behind it waiting", async () => {
  const turns = new BodyTurns({ maxBytes: MIB, clock: systemClock });
  served = await serveRest({ turns, config: { bodyIdleMs: 60_000 } });
  const head = (name: string): string =>
    `PUT /api/v1/objects/${name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${MIB}\r\n\r\n`;
  const turn = turns.turnOf(MIB);
  void turn.take();
  const leaving = Array.from({ length: 3 }, (_, index) => (served as ServedRest).talk(head(`left${index}`)));
  await expect.poll(() => turns.waiting).toBe(3);
  for (const { socket } of leaving) socket.destroy();
  await expect.poll(() => turns.waiting).toBe(0);
  turn.end();
  expect((await served.call("PUT", "/api/v1/objects/next", { body: Buffer.alloc(MIB) })).status).toBe(201);
});
