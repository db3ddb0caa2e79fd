import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { takeWaiting } from "./waiting-connections.ts";

const MANY = 60;
let server: net.Server | undefined;
let clients: Socket[] = [];
afterEach(() => {
  for (const client of clients) client.destroy();
  clients = [];
  server?.close();
  server = undefined;
});

/** Connects so many times before the server comes to take one; each says its number. Returns how many were taken in each turn of the event loop. */
async function rush(options: net.ServerOpts, onSocket: (socket: Socket) => void): Promise<number[]> {
  const listening = net.createServer(options);
  server = listening;
  await takeWaiting(listening);
  const turns: number[] = [];
  let taken = 0;
  listening.on("connection", (socket) => {
    taken += 1;
    onSocket(socket);
  });
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  clients = Array.from({ length: MANY }, (_, index) => {
    const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    client.on("error", () => undefined);
    client.end(`${index} `);
    return client;
  });
  for (let left = MANY; left > 0;) {
    await new Promise((resolve) => setImmediate(resolve));
    if (taken > 0) turns.push(taken);
    left -= taken;
    taken = 0;
  }
  return turns;
}

it("All connections that wait are taken in one turn", async () => {
  const turns = await rush({}, (socket) => socket.resume().on("error", () => undefined));
  expect(Math.max(...turns)).toBeGreaterThan(MANY / 2);
});

it("They are read, and answered after their clients have said all, as those that Node takes", async () => {
  const heard: string[] = [];
  await rush({ allowHalfOpen: true }, (socket) => {
    let said = "";
    socket.on("data", (piece: Buffer) => {
      said += piece.toString();
    });
    socket.once("end", () => setImmediate(() => socket.end(`heard ${said}`)));
  });
  await Promise.all(
    clients.map(async (client) => {
      for await (const piece of client) heard.push(String(piece));
    }),
  );
  expect(heard.toSorted()).toEqual(Array.from({ length: MANY }, (_, index) => `heard ${index} `).toSorted());
});

it("Where the server wants to be asked first, nothing is read of them before", async () => {
  const sockets: Socket[] = [];
  let early = 0;
  await rush({ pauseOnConnect: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined).on("data", () => (early += 1));
    socket.pause();
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect([early, new Set(sockets.map((socket) => socket.bytesRead))]).toEqual([0, new Set([0])]);
  for (const socket of sockets) socket.resume();
  await expect.poll(() => early).toBe(MANY);
});

it("Addresses of both sides are known", async () => {
  const seen: string[] = [];
  await rush({}, (socket) => {
    seen.push(`${socket.remoteAddress} ${socket.remotePort} ${socket.localPort}`);
    socket.resume().on("error", () => undefined);
  });
  await Promise.all(clients.map(async (client) => client.connecting && (await once(client, "connect"))));
  const { port } = (server as net.Server).address() as AddressInfo;
  expect(seen.toSorted()).toEqual(clients.map(({ localPort }) => `127.0.0.1 ${localPort} ${port}`).toSorted());
});
