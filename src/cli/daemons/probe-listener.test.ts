import { once } from "node:events";
import net from "node:net";
import { Worker } from "node:worker_threads";
import { afterEach, expect, it } from "vitest";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { talkTo } from "../../gateways/http/testing/conversation.ts";
import { listenForProbes, type ProbeListener, type ProbeListenerOptions } from "./probe-listener.ts";

const listeners: ProbeListener[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
});

async function listen(options: Partial<ProbeListenerOptions> = {}): Promise<ProbeListener> {
  const listener = await listenForProbes({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    log: silentLogger,
    ...options,
  });
  listeners.push(listener);
  return listener;
}

async function ask({ port }: ProbeListener, path: string): Promise<string> {
  const answer = await talkTo(port, `GET ${path} HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n`).ended;
  return `${answer.split(" ")[1]} ${answer.split("\r\n\r\n")[1]}`;
}

/** Asks again and again in a thread of its own, and wakes this one, which is blocked meanwhile, when it has heard that word. */
const PROBE = `
const { get } = require("node:http");
const { parentPort, workerData: { port, path, word, flag } } = require("node:worker_threads");
const ask = () => get({ port, path, agent: false }, (answer) => {
  let body = "";
  answer.on("data", (piece) => { body += piece; }).on("end", () => {
    if (body !== word) return setTimeout(ask, 5);
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
    parentPort.close();
  });
});
parentPort.once("message", ask);
`;

/** Whether a probe hears the word while this thread does nothing at all. */
async function hearsWhileBlocked({ port }: ProbeListener, path: string, word: string): Promise<boolean> {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(PROBE, { eval: true, workerData: { port, path, word, flag } });
  await once(worker, "online");
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  worker.postMessage("ask");
  const heard = Atomics.wait(flag, 0, 0, 20_000) !== "timed-out";
  await worker.terminate();
  return heard;
}

it("A daemon is ready from when it says so until it stops, and alive all the time", async () => {
  const listener = await listen();
  expect([await ask(listener, "/livez"), await ask(listener, "/readyz")]).toEqual(["200 OK", "503 STARTING"]);
  listener.say("OK");
  expect([await ask(listener, "/livez"), await ask(listener, "/readyz?verbose")]).toEqual(["200 OK", "200 OK"]);
  listener.say("STOPPING");
  expect([await ask(listener, "/livez"), await ask(listener, "/readyz")]).toEqual(["200 OK", "503 STOPPING"]);
  expect(await ask(listener, "/metrics")).toMatch(/^404 /);
});

it("Probes are answered while the daemon is busy with something else", async () => {
  const listener = await listen();
  listener.say("OK");
  expect(await hearsWhileBlocked(listener, "/readyz", "OK")).toBe(true);
});

it("A daemon that does nothing any more is not ready, and later not alive; and it is again when it goes on", async () => {
  const listener = await listen({ beatMs: 10, readyMs: 300, liveMs: 600 });
  listener.say("OK");
  expect(await hearsWhileBlocked(listener, "/readyz", "STUCK")).toBe(true);
  await expect.poll(async () => await ask(listener, "/readyz")).toBe("200 OK");
  expect(await hearsWhileBlocked(listener, "/livez", "STUCK")).toBe(true);
  await expect.poll(async () => await ask(listener, "/livez")).toBe("200 OK");
});

it("Connections that ask nothing keep no probe out", async () => {
  const listener = await listen();
  const idle = Array.from({ length: 300 }, () => talkTo(listener.port, ""));
  await Promise.all(idle.map(async ({ socket }) => await once(socket, "connect")));
  expect(await ask(listener, "/livez")).toBe("200 OK");
  // The oldest have made room.
  await Promise.all(idle.slice(0, 44).map(async ({ ended }) => await ended));
  for (const { socket } of idle) socket.destroy();
});

it("A port that is taken is said by the name of its setting", async () => {
  const { port } = await listen();
  await expect(listen({ port })).rejects.toMatchObject({
    code: "ConfigInvalid",
    message: `Something else listens on 127.0.0.1:${port} already; stop it or set coordinator.health_listen_addr.`,
  });
});

it("Nobody listens any more once it is closed", async () => {
  const { port, close } = await listen();
  await close();
  const socket = net.connect(port, "127.0.0.1");
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
});
