import { request as send } from "undici";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { rigCtx } from "../../coordinator/testing/rig.ts";
import { systemClock } from "../../core/ports/clock.ts";
import type { AccessGrant } from "../../coordinator/index.ts";
import { tokenOf } from "../../security/index.ts";
import { type ServedRest, serveRest } from "./testing/served-rest.ts";

interface Event {
  readonly id: number;
  readonly event?: string;
  readonly data?: Record<string, string>;
}

interface Followed {
  /** The next that has data. */
  next(): Promise<Event>;
  /** The names of the next ones, up to the object that is written now. */
  until(marker: string): Promise<string[]>;
  readonly ended: Promise<void>;
  stop(): void;
}

const OPERATOR = "the operator's key";
let rest: ServedRest;
beforeEach(async () => {
  rest = await serveRest({ apiKey: OPERATOR });
});
afterEach(async () => await rest.close());

async function open(query = "", headers: Record<string, string> = {}) {
  const aborting = new AbortController();
  onTestFinished(() => aborting.abort());
  const answer = await send(`http://127.0.0.1:${rest.port}/api/v1/events${query}`, {
    headers: { "x-globalfs-api-key": OPERATOR, ...headers },
    signal: aborting.signal,
  });
  return { answer, stop: () => aborting.abort() };
}

async function follow(query = "", headers: Record<string, string> = {}): Promise<Followed> {
  const { answer, stop } = await open(query, headers);
  expect([answer.statusCode, answer.headers["content-type"]]).toEqual([200, "text/event-stream"]);
  const waiting: Event[] = [];
  let wake: (() => void) | undefined;
  let isOver = false;
  const ended = (async () => {
    let text = "";
    try {
      for await (const piece of answer.body) {
        text += String(piece);
        const frames = text.split("\n\n");
        text = frames.pop() as string;
        waiting.push(...frames.map(parse).filter(({ data }) => data !== undefined));
        wake?.();
      }
    } catch {
      // Cut.
    }
    isOver = true;
    wake?.();
  })();
  const next = async (): Promise<Event> => {
    for (;;) {
      const event = waiting.shift();
      if (event !== undefined) return event;
      if (isOver) throw new Error("The stream has ended.");
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    next,
    ended,
    stop,
    async until(marker) {
      const names: string[] = [];
      for (;;) {
        const { event, data } = await next();
        const from = data?.["from"] === undefined ? "" : ` from ${data["from"]}`;
        if (data?.["path"] === marker) return names;
        names.push(`${event}${data?.["path"] === undefined ? "" : ` ${data["path"]}`}${from}`);
      }
    },
  };
}

function parse(frame: string): Event {
  const fields = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2))) as Record<
    string,
    string
  >;
  return {
    id: Number(fields["id"]),
    ...(fields["event"] === undefined ? {} : { event: fields["event"] }),
    ...(fields["data"] === undefined ? {} : { data: JSON.parse(fields["data"]) as Record<string, string> }),
  };
}

const token = async (...grants: readonly AccessGrant[]): Promise<Record<string, string>> => ({
  "x-globalfs-api-key": tokenOf(await rest.rig.coordinator.createAccessKey(rigCtx, { user: "olga", grants })),
});

describe("the stream of events", () => {
  it("begins now, and tells what happens to names, each with its place", async () => {
    await rest.rig.put("a/before", "0");
    const stream = await follow();
    expect(await stream.next()).toMatchObject({ event: "begin" });
    await rest.rig.put("a/x", "1");
    const created = await stream.next();
    expect(created).toMatchObject({
      event: "created",
      data: {
        position: created.id,
        kind: "created",
        path: "a/x",
        version_id: expect.any(String),
        inode: expect.any(Number),
      },
    });
    await rest.rig.put("a/x", "2");
    await rest.rig.coordinator.rename(rigCtx, { from: "a/x", to: "b/y" });
    await rest.rig.coordinator.rename(rigCtx, { from: "b/", to: "c/" });
    await rest.rig.coordinator.deleteObject(rigCtx, "c/y", {});
    await rest.rig.put("end", "");
    const told = await stream.until("end");
    expect(told).toEqual(["updated a/x", "renamed b/y from a/x", "renamed c from b", "removed c/y"]);
  });

  it("goes on where a reader was, by query and by the header that browsers send", async () => {
    const first = await follow();
    await first.next();
    await rest.rig.put("a", "1");
    const { id } = await first.next();
    first.stop();
    await rest.rig.put("b", "2");
    await rest.rig.put("c", "3");
    for (const again of [await follow(`?after=${id}`), await follow("", { "last-event-id": `${id}` })])
      expect([(await again.next()).id, await again.until("c")]).toEqual([id, ["created b"]]);
    expect(await (await follow("?after=0")).until("c")).toEqual(["begin", "created a", "created b"]);
  });

  it("says so when what was missed is not known any more", async () => {
    const stream = await follow(`?after=${Number.MAX_SAFE_INTEGER}`);
    const gap = await stream.next();
    expect([gap.event, gap.id]).toEqual(["gap", await rest.rig.coordinator.lastChange(rigCtx)]);
    await rest.rig.put("a", "1");
    expect((await stream.next()).data).toMatchObject({ path: "a" });
  });

  it("tells of one prefix and some kinds, and of renames of directories above it", async () => {
    await rest.rig.put("a/b/c", "1");
    const [below, removals] = [await follow("?prefix=a/b/"), await follow("?kinds=removed,renamed")];
    await rest.rig.put("a/other", "1");
    await rest.rig.put("a/b/d", "1");
    await rest.rig.coordinator.rename(rigCtx, { from: "a/", to: "z/" });
    await rest.rig.put("a/b/end", "1");
    await rest.rig.coordinator.deleteObject(rigCtx, "a/b/end", {});
    expect(await below.until("a/b/end")).toEqual(["begin", "created a/b/d", "renamed z from a"]);
    expect(await removals.until("a/b/end")).toEqual(["begin", "renamed z from a"]);
  });

  it.each(["?kinds=made", "?after=-1", "?after=x", "?kind=created"])("refuses %s before it begins", async (query) => {
    expect((await open(query)).answer.statusCode).toBe(400);
  });
});

describe("a key with grants", () => {
  it("is told of what it may list; what is renamed into its sight is new, and what leaves it gone", async () => {
    const stream = await follow("", await token({ path: "mine", role: "reader" }));
    await stream.next();
    await rest.rig.put("mine/a", "1");
    await rest.rig.put("theirs/b", "1");
    await rest.rig.coordinator.rename(rigCtx, { from: "theirs/b", to: "mine/b" });
    await rest.rig.coordinator.rename(rigCtx, { from: "mine/a", to: "theirs/a" });
    await rest.rig.put("mine/end", "1");
    expect(await stream.until("mine/end")).toEqual(["created mine/a", "created mine/b", "removed mine/a"]);
    const refused = await open("?prefix=theirs/", await token({ path: "mine", role: "reader" }));
    expect(refused.answer.statusCode).toBe(403);
  });

  it("is told nothing more once it was taken away", async () => {
    const headers = await token({ path: "", role: "reader" });
    const stream = await follow("", headers);
    await stream.next();
    const [key] = await rest.rig.coordinator.listAccessKeys(rigCtx);
    await rest.rig.coordinator.deleteAccessKey(rigCtx, (key as { id: string }).id);
    await rest.rig.put("secret", "1");
    await stream.ended;
    await expect(stream.next()).rejects.toThrow("ended");
    expect((await open("", headers)).answer.statusCode).toBe(401);
  });
});

describe("the server", () => {
  it("answers others while as many follow as requests may run, and ends when it is closed", async () => {
    await rest.close();
    rest = await serveRest({ apiKey: OPERATOR, config: { maxConcurrentRequests: 2 } });
    const streams = await Promise.all(Array.from({ length: 20 }, async () => await follow()));
    const headers = { "x-globalfs-api-key": OPERATOR };
    expect((await rest.call("GET", "/api/v1/info", { headers })).status).toBe(200);
    await rest.rig.put("a", "1");
    for (const stream of streams) expect(await stream.until("a")).toEqual(["begin"]);
    const startedMs = systemClock.monotonicMs();
    await rest.close();
    await Promise.all(streams.map(async ({ ended }) => await ended));
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(5_000);
    rest = await serveRest({ apiKey: OPERATOR });
  });
});
