import { describe, expect, test } from "vitest";
import type { WatchBatch } from "./kv.ts";
import { WatchHub } from "./watch-hub.ts";

const key = (text: string): Uint8Array => Buffer.from(text);
const EVERYTHING = { start: key("\0"), end: key("\xff") };
const change = (revision: number, ...keys: string[]): WatchBatch => ({
  revision,
  events: keys.map((name) => ({ key: key(name), value: key("") })),
});
const many = (revision: number, count: number): WatchBatch => ({
  revision,
  events: Array.from({ length: count }, () => ({ key: key("k"), value: undefined })),
});
/** What a watcher is told until the hub closes, or the code with which it is cut off. */
async function told(
  hub: WatchHub,
  options: { afterRevision?: number; range?: typeof EVERYTHING } = {},
): Promise<unknown> {
  const revisions: number[] = [];
  const { range = EVERYTHING, ...rest } = options;
  try {
    for await (const batch of hub.watch(range, { ...rest, signal: new AbortController().signal }))
      revisions.push(batch.revision);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return revisions;
}

describe("watchers of commits", () => {
  test("hear of what comes after their revision, be it past or to come, and end with the hub", async () => {
    const hub = new WatchHub(4);
    hub.publish(change(5, "a"));
    hub.publish(change(6, "b"));
    const [all, some, now] = [told(hub, { afterRevision: 4 }), told(hub, { afterRevision: 5 }), told(hub)];
    hub.publish(change(7, "c"));
    hub.close();
    expect(await all).toEqual([5, 6, 7]);
    expect(await some).toEqual([6, 7]);
    expect(await now).toEqual([7]);
  });

  test("who ask for what the hub never saw are told to read again", async () => {
    const hub = new WatchHub(4);
    expect(await told(hub, { afterRevision: 3 })).toBe("StaleEpoch");
  });

  test("hear of keys from the start of their range up to before its end, and of no commit that touches none", async () => {
    const hub = new WatchHub(0);
    const seen: string[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const { events } of hub.watch({ start: key("b"), end: key("d") }, { signal: controller.signal })) {
        seen.push(events.map(({ key: found }) => Buffer.from(found).toString()).join());
      }
    })();
    hub.publish(change(1, "a", "d", "e"));
    hub.publish(change(2, "a", "b", "c", "d"));
    hub.close();
    await watching;
    expect(seen).toEqual(["b,c"]);
  });

  test("are ended by their signal while they wait", async () => {
    const hub = new WatchHub(0);
    const controller = new AbortController();
    const watching = hub.watch(EVERYTHING, { signal: controller.signal })[Symbol.asyncIterator]().next();
    controller.abort();
    expect(await watching).toEqual({ done: true, value: undefined });
  });

  test("are told of as much as is remembered: 1,000 changes", async () => {
    const hub = new WatchHub(0);
    hub.publish(many(1, 1));
    hub.publish(many(2, 999));
    const asked = [told(hub, { afterRevision: 0 })];
    hub.publish(many(3, 1));
    asked.push(told(hub, { afterRevision: 0 }), told(hub, { afterRevision: 1 }));
    hub.publish(many(4, 999));
    asked.push(told(hub, { afterRevision: 1 }), told(hub, { afterRevision: 2 }), told(hub, { afterRevision: 3 }));
    hub.close();
    // What was offered to the first ones in time waits for them.
    expect(await Promise.all(asked)).toEqual([[1, 2, 3, 4], "StaleEpoch", [2, 3, 4], "StaleEpoch", [3, 4], [4]]);
  });

  test("are told of as much as is remembered: 1 MiB of keys and values", async () => {
    const hub = new WatchHub(0);
    const half = { key: key("12345678"), value: Buffer.alloc(1024 ** 2 / 2 - 8) };
    const asked = [];
    hub.publish({ revision: 1, events: [half] });
    hub.publish({ revision: 2, events: [half] });
    asked.push(told(hub, { afterRevision: 0 }));
    hub.publish({ revision: 3, events: [{ key: key("k"), value: undefined }] });
    asked.push(told(hub, { afterRevision: 0 }), told(hub, { afterRevision: 1 }));
    // Only what was over the limit is forgotten.
    hub.publish({ revision: 4, events: [{ key: key("k"), value: undefined }] });
    asked.push(told(hub, { afterRevision: 1 }));
    hub.close();
    expect(await Promise.all(asked)).toEqual([[1, 2, 3, 4], "StaleEpoch", [2, 3, 4], [2, 3, 4]]);
  });

  test("who do not read are cut off when more than 20,000 changes wait for them, and those who read are not", async () => {
    const hub = new WatchHub(0);
    const controller = new AbortController();
    const reader = hub.watch(EVERYTHING, { signal: controller.signal })[Symbol.asyncIterator]();
    const first = reader.next();
    hub.publish(many(1, 15_000));
    await first;
    hub.publish(many(2, 20_000));
    expect(((await reader.next()).value as WatchBatch).revision).toBe(2);
    hub.publish(many(3, 20_000));
    hub.publish(many(4, 1));
    hub.publish(many(5, 1));
    await expect(reader.next()).rejects.toMatchObject({ code: "Overloaded" });
  });
});
