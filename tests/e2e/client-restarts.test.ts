import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type WatchEvent } from "@globalfs/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runGlobalfs } from "./support/command.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { openGate } from "./support/gate.ts";

/** Clients that go on through the death of the coordinator. */

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-events-"));
});
afterAll(async () => await rm(directory, { recursive: true, force: true }));

const start = async (): Promise<ReadyDaemon> =>
  await startDaemon({ directory, words: ["up", "--open", "--data-dir", "data", "--listen", "127.0.0.1:0"] });

test("A watch outlives kill -9 and a tidy stop of the coordinator, and tells each change once, in order", async () => {
  let daemon = await start();
  const gate = await openGate(daemon.url);
  const client = createClient({ endpoint: gate.url });
  const aborting = new AbortController();
  const seen: string[] = [];
  let wake: () => void = () => undefined;
  let isListening = false;
  const watching = (async () => {
    for await (const event of client.watch({ prefix: "w/", signal: aborting.signal })) {
      isListening = true;
      if ("path" in event) seen.push(event.path);
      else expect(event.kind).toBe("begin");
      wake();
    }
  })().catch((error: unknown) => {
    if (!aborting.signal.aborted) throw error;
  });
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  const put = async (name: string): Promise<void> => void (await client.put(name, name));
  try {
    await until(() => isListening);
    await put("w/1");
    await put("other/1");
    await until(() => seen.length === 1);
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await put(`w/before-${signal}`);
      await daemon.stop(signal);
      daemon = await start();
      gate.leadTo(daemon.url);
      await put(`w/after-${signal}`);
    }
    await until(() => seen.length >= 5);
    expect(seen).toEqual(["w/1", "w/before-SIGKILL", "w/after-SIGKILL", "w/before-SIGTERM", "w/after-SIGTERM"]);
    const shown = await runGlobalfs(["watch", "w/", "--after", "0", "--count", "5", "--json"], {
      env: { GLOBALFS_COORDINATOR: daemon.url },
    });
    const told = shown.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Extract<WatchEvent, { path: string }>);
    expect(told.map(({ path }) => path)).toEqual(seen);
  } finally {
    aborting.abort();
    await watching;
    await client.close();
    await gate.shut();
    await daemon.stop();
  }
});

test("a download that has begun goes on after a restart of the coordinator, with the bytes of its version", async () => {
  let daemon = await start();
  const gate = await openGate(daemon.url);
  const client = createClient({ endpoint: gate.url });
  const body = randomBytes(48 * 1024 ** 2);
  try {
    await client.put("large", body);
    const download = await client.get("large");
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for await (const piece of download.body as AsyncIterable<Buffer>) {
      if (sizeBytes === 0) {
        await daemon.stop("SIGKILL");
        daemon = await start();
        gate.leadTo(daemon.url);
      }
      sizeBytes += piece.length;
      hash.update(piece);
    }
    expect([sizeBytes, hash.digest("hex")]).toEqual([body.length, createHash("sha256").update(body).digest("hex")]);
  } finally {
    await client.close();
    await gate.shut();
    await daemon.stop();
  }
});
