import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import type { Logger } from "../../../core/ports/log.ts";
import { silentLogger } from "../../../core/ports/log.ts";
import { seededRandom } from "../../../core/ports/random.ts";
import { type Rig, rigCtx, startRig } from "../../../coordinator/testing/rig.ts";
import { createMemoryKv } from "../../../kv/index.ts";
import { trimChanges } from "../../../namespace/index.ts";
import { createMetrics } from "../../../telemetry/index.ts";
import { canonicalUserId } from "../../../security/index.ts";
import type { Subscription } from "./configuration.ts";
import { createEventDelivery, type EventDelivery } from "./delivery.ts";
import type { EventRecord } from "./message.ts";

/** Waits are short, whatever they are for: receivers here answer at once. */
const hasty: Clock = {
  ...systemClock,
  sleep: async (durationMs, signal) => await systemClock.sleep(Math.min(durationMs, 5), signal),
};

interface Receiver {
  readonly url: string;
  readonly records: EventRecord[];
  /** Of the answers from now on; 200 once the list is empty. */
  readonly answers: number[];
  readonly signatures: { readonly header: string | undefined; readonly body: string }[];
  /** Resolves once so many records came in all. */
  received(count: number): Promise<readonly EventRecord[]>;
  close(): Promise<void>;
}

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function startReceiver(refuse: (records: readonly EventRecord[]) => number = () => 200): Promise<Receiver> {
  const records: EventRecord[] = [];
  const answers: number[] = [];
  const signatures: { header: string | undefined; body: string }[] = [];
  const waiting: { readonly count: number; readonly go: () => void }[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const message = JSON.parse(body) as { Records: EventRecord[] };
      signatures.push({ header: request.headers["x-globalfs-signature"] as string | undefined, body });
      const status = answers.shift() ?? refuse(message.Records);
      if (status === 200) records.push(...message.Records);
      response.writeHead(status).end();
      for (const { count, go } of waiting) if (records.length >= count) go();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    records,
    answers,
    signatures,
    async received(count) {
      if (records.length < count) await new Promise<void>((go) => waiting.push({ count, go }));
      return records;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
  undo.push(receiver.close);
  return receiver;
}

async function startCoordinator(kv = createMemoryKv()): Promise<Rig> {
  const rig = await startRig({ kv });
  undo.push(rig.stop);
  return rig;
}

async function subscribe(rig: Rig, bucket: string, ...subscriptions: Partial<Subscription>[]): Promise<void> {
  const notification = JSON.stringify(
    subscriptions.map((one, index) => ({ id: `s${index}`, webhook: "hook", events: ["s3:ObjectCreated:*"], ...one })),
  );
  await rig.coordinator.changeBucket(rigCtx, bucket, { documents: { notification } });
}

interface Delivering {
  readonly delivery: EventDelivery;
  readonly events: string[];
  metrics(): Promise<string>;
}

async function deliver(rig: Rig, webhooks: Record<string, { url: string; secret?: string }>): Promise<Delivering> {
  const metrics = createMetrics({ processMetrics: false });
  const events: string[] = [];
  const note = (event: string): void => {
    events.push(event);
  };
  const log: Logger = { ...silentLogger, warn: note, error: note };
  const delivery = createEventDelivery({
    service: rig.coordinator,
    clock: hasty,
    random: seededRandom(1),
    log,
    metrics,
    region: "us-east-1",
    webhooks,
  });
  // The place of a new webhook is the end of the feed: it must be taken before anything is written.
  for (const name of Object.keys(webhooks)) {
    const reader = `s3-events/${name}`;
    const end = await rig.coordinator.lastChange(rigCtx);
    if ((await rig.coordinator.findFeedPlace(rigCtx, reader)) === undefined)
      await rig.coordinator.keepFeedPlace(rigCtx, reader, end);
  }
  delivery.start();
  undo.push(delivery.stop);
  return { delivery, events, metrics: async () => (await metrics.render()).body };
}

const shown = (records: readonly EventRecord[]): string[] =>
  records.map(({ eventName, s3 }) => `${eventName} ${s3.object.key}`);

describe("events", () => {
  it("tell of writes, copies and deletes through any gateway, in their order", async () => {
    const rig = await startCoordinator();
    const receiver = await startReceiver();
    await rig.coordinator.createBucket(rigCtx, { name: "box", owner: "alice" });
    await subscribe(rig, "box", { events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"] });
    await deliver(rig, { hook: { url: receiver.url } });
    await rig.put("box/a b/ü.txt", "12345", { owner: "bob", md5Etag: true });
    await rig.coordinator.copyObject(rigCtx, { from: { key: "box/a b/ü.txt" }, key: "box/copy" });
    await rig.coordinator.changeLabels(rigCtx, "box/copy", { tags: { a: "1" } });
    await rig.coordinator.changeLabels(rigCtx, "box/copy", { accessList: "READ all" });
    await rig.coordinator.changeLabels(rigCtx, "box/copy", { tags: null });
    await rig.coordinator.rename(rigCtx, { from: "box/copy", to: "box/moved" });
    await rig.coordinator.deleteObject(rigCtx, "box/moved");
    const records = await receiver.received(7);
    expect(shown(records)).toEqual([
      "ObjectCreated:Put a+b/%C3%BC.txt",
      "ObjectCreated:Copy copy",
      "ObjectTagging:Put copy",
      "ObjectTagging:Delete copy",
      "ObjectRemoved:Delete copy",
      "ObjectCreated:Copy moved",
      "ObjectRemoved:Delete moved",
    ]);
    expect(records[0]).toMatchObject({
      eventVersion: "2.1",
      awsRegion: "us-east-1",
      userIdentity: { principalId: canonicalUserId("bob") },
      s3: {
        s3SchemaVersion: "1.0",
        configurationId: "s0",
        bucket: { name: "box", arn: "arn:aws:s3:::box", ownerIdentity: { principalId: canonicalUserId("alice") } },
        object: { size: 5, eTag: "827ccb0eea8a706c4c34a16891f84e7b" },
      },
    });
    const sequencers = records.map(({ s3 }) => s3.object.sequencer);
    expect(sequencers.toSorted()).toEqual(sequencers);
  });

  it("tell of delete markers and versions", async () => {
    const rig = await startCoordinator();
    const receiver = await startReceiver();
    await rig.coordinator.createBucket(rigCtx, { name: "kept", owner: "alice" });
    await rig.coordinator.changeBucket(rigCtx, "kept", { versioning: "enabled" });
    await subscribe(rig, "kept", { events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"] });
    await deliver(rig, { hook: { url: receiver.url } });
    const { meta } = await rig.put("kept/a", "x");
    const { versionId } = await rig.coordinator.deleteObject(rigCtx, "kept/a");
    const records = await receiver.received(2);
    expect(shown(records)).toEqual(["ObjectCreated:Put a", "ObjectRemoved:DeleteMarkerCreated a"]);
    expect(records.map(({ s3 }) => s3.object.versionId)).toEqual([meta.versionId, versionId]);
  });

  it("are those that the bucket asks for", async () => {
    const rig = await startCoordinator();
    const receiver = await startReceiver();
    for (const name of ["box", "other"]) await rig.coordinator.createBucket(rigCtx, { name, owner: "alice" });
    await subscribe(rig, "box", { prefix: "in/", suffix: ".jpg" }, { id: "all", events: ["s3:ObjectRemoved:Delete"] });
    await deliver(rig, { hook: { url: receiver.url } });
    for (const key of ["box/in/a.jpg", "box/in/a.png", "box/out/a.jpg", "other/in/a.jpg", "loose"])
      await rig.put(key, "x");
    await rig.coordinator.deleteObject(rigCtx, "box/out/a.jpg");
    const records = await receiver.received(2);
    expect(shown(records)).toEqual(["ObjectCreated:Put in/a.jpg", "ObjectRemoved:Delete out/a.jpg"]);
    expect(records[1]?.s3.configurationId).toBe("all");
  });

  it("are signed for who shares the secret", async () => {
    const rig = await startCoordinator();
    const receiver = await startReceiver();
    await rig.coordinator.createBucket(rigCtx, { name: "box" });
    await subscribe(rig, "box", {});
    await deliver(rig, { hook: { url: receiver.url, secret: "between us" } });
    await rig.put("box/a", "x");
    await receiver.received(1);
    const { header = "", body = "" } = receiver.signatures[0] ?? {};
    const [, seconds = "", hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
    expect(createHmac("sha256", "between us").update(`${seconds}.${body}`).digest("hex")).toBe(hex);
  });
});

describe("a receiver", () => {
  it("that fails is told again, in order, until it takes them", async () => {
    const rig = await startCoordinator();
    const receiver = await startReceiver();
    await rig.coordinator.createBucket(rigCtx, { name: "box" });
    await subscribe(rig, "box", {});
    receiver.answers.push(500, 503, 429, 404);
    const { events } = await deliver(rig, { hook: { url: receiver.url } });
    for (const name of ["a", "b", "c"]) await rig.put(`box/${name}`, "x");
    expect(shown(await receiver.received(3))).toEqual(["a", "b", "c"].map((name) => `ObjectCreated:Put ${name}`));
    expect(events).toContain("s3_events_not_taken");
  });

  it("that is away holds up no other, and gets everything when it is back", async () => {
    const rig = await startCoordinator();
    const awake = await startReceiver();
    const away = await startReceiver(() => 502);
    await rig.coordinator.createBucket(rigCtx, { name: "box" });
    await subscribe(rig, "box", {}, { webhook: "away" });
    await deliver(rig, { hook: { url: awake.url }, away: { url: away.url } });
    for (let index = 0; index < 20; index++) await rig.put(`box/${String(index).padStart(2, "0")}`, "x");
    await awake.received(20);
    expect(away.records).toEqual([]);
    away.answers.push(...Array.from({ length: 50 }, () => 200));
    expect(shown(await away.received(20))).toEqual(shown(awake.records));
  });

  it("that refuses one event for good loses that one only", async () => {
    const rig = await startCoordinator();
    const receiver = await startReceiver((records) =>
      records.some(({ s3 }) => s3.object.key === "poison") ? 422 : 200,
    );
    await rig.coordinator.createBucket(rigCtx, { name: "box" });
    await subscribe(rig, "box", {});
    for (const name of ["a", "poison", "b"]) await rig.put(`box/${name}`, "x");
    await rig.coordinator.keepFeedPlace(rigCtx, "s3-events/hook", 0);
    const { metrics, events } = await deliver(rig, { hook: { url: receiver.url } });
    expect(shown(await receiver.received(2))).toEqual(["ObjectCreated:Put a", "ObjectCreated:Put b"]);
    expect(events).toContain("s3_events_dropped");
    expect(await metrics()).toContain('globalfs_s3_events_total{webhook="hook",outcome="dropped"} 1');
  });

  it("is told the rest after a restart, and nothing that it took before", async () => {
    const kv = createMemoryKv();
    const first = await startCoordinator(kv);
    const receiver = await startReceiver();
    await first.coordinator.createBucket(rigCtx, { name: "box" });
    await subscribe(first, "box", {});
    const before = await deliver(first, { hook: { url: receiver.url } });
    await first.put("box/a", "x");
    await receiver.received(1);
    await before.delivery.stop();
    await first.put("box/b", "x");
    await deliver(first, { hook: { url: receiver.url } });
    expect(shown(await receiver.received(2))).toEqual(["ObjectCreated:Put a", "ObjectCreated:Put b"]);
  });

  it("that was away for longer than the feed remembers is told the rest, and that it missed some once", async () => {
    const kv = createMemoryKv();
    const rig = await startCoordinator(kv);
    const receiver = await startReceiver();
    await rig.coordinator.createBucket(rigCtx, { name: "box" });
    await subscribe(rig, "box", {});
    const place = await rig.coordinator.lastChange(rigCtx);
    await rig.coordinator.keepFeedPlace(rigCtx, "s3-events/hook", place);
    for (const name of ["a", "b"]) await rig.put(`box/${name}`, "x");
    await kv.transact((tx) => trimChanges(tx, { beforeMs: Number.MAX_SAFE_INTEGER, limit: 1_000 }));
    await rig.put("box/c", "x");
    const { metrics, events } = await deliver(rig, { hook: { url: receiver.url } });
    expect(shown(await receiver.received(1))).toEqual(["ObjectCreated:Put c"]);
    expect(events).toContain("s3_events_missed");
    expect(await metrics()).toContain('outcome="missed"} 1');
  });

  it("that is new hears of what happens from then on", async () => {
    const rig = await startCoordinator();
    const receiver = await startReceiver();
    await rig.coordinator.createBucket(rigCtx, { name: "box" });
    await subscribe(rig, "box", {});
    await rig.put("box/before", "x");
    await deliver(rig, { hook: { url: receiver.url } });
    await rig.put("box/after", "x");
    expect(shown(await receiver.received(1))).toEqual(["ObjectCreated:Put after"]);
  });
});
