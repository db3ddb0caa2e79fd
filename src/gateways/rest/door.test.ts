import net from "node:net";
import { request as send } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bodyAt, type Rig, startRig } from "../../coordinator/testing/rig.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { createKeyring, hashApiKey } from "../../security/index.ts";
import { createMetrics } from "../../telemetry/index.ts";
import { createRestGateway } from "./index.ts";

type Headers = Record<string, string>;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig.stop();
});

describe("with keys", () => {
  it("only who knows one gets in, and a limit keeps the rest out for a moment", async () => {
    const metrics = createMetrics({ processMetrics: false });
    const keyring = createKeyring([{ name: "me", hash: hashApiKey("secret") }]);
    const locked = await createRestGateway(
      {
        service: rig.coordinator,
        keyring,
        clock: systemClock,
        log: silentLogger,
        metrics,
        renderMetrics: () => metrics.render(),
      },
      { version: "1", maxConcurrentRequests: 2, bodyIdleMs: 500 },
    );
    const { port: lockedPort } = await locked.listen({ host: "127.0.0.1", port: 0 });
    const status = async (path: string, headers: Headers = {}): Promise<number> => {
      const answer = await send(`http://127.0.0.1:${lockedPort}${path}`, { headers });
      await answer.body.dump();
      return answer.statusCode;
    };
    expect(await status("/healthz")).toBe(200);
    expect(await status("/readyz")).toBe(200);
    for (const path of ["/api/v1/info", "/metrics", "/api/v1/objects/x", "/api/v1/openapi.json"]) {
      expect(await status(path)).toBe(401);
      expect(await status(path, { "x-globalfs-api-key": "wrong" })).toBe(401);
      expect(await status(path, { "x-globalfs-api-key": "secret" })).toBeLessThan(405);
      expect(await status(path, { authorization: "Bearer secret" })).toBeLessThan(405);
    }
    const busy = [net.connect(lockedPort, "127.0.0.1"), net.connect(lockedPort, "127.0.0.1")];
    for (const socket of busy)
      socket.write(
        "PUT /api/v1/objects/hold HTTP/1.1\r\nHost: localhost\r\nX-GlobalFS-API-Key: secret\r\nContent-Length: 5\r\n\r\n",
      );
    await expect.poll(async () => await status("/api/v1/info", { "x-globalfs-api-key": "secret" })).toBe(503);
    for (const socket of busy) socket.destroy();
    await locked.close({ drainMs: 100 });
  });
});

describe("closing", () => {
  it("lets a running upload finish and takes no new request", async () => {
    const metrics = createMetrics({ processMetrics: false });
    const closing = await createRestGateway(
      {
        service: rig.coordinator,
        keyring: createKeyring([]),
        clock: systemClock,
        log: silentLogger,
        metrics,
        renderMetrics: () => metrics.render(),
      },
      { version: "1", maxConcurrentRequests: 9, bodyIdleMs: 5_000 },
    );
    const { port: closingPort } = await closing.listen({ host: "127.0.0.1", port: 0 });
    const socket = net.connect(closingPort, "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.write("PUT /api/v1/objects/drained HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nha");
    await expect.poll(async () => (await metrics.render()).body).toMatch(/globalfs_http_requests_in_flight 1/);
    const closed = closing.close({ drainMs: 5_000 });
    await expect
      .poll(async () => await send(`http://127.0.0.1:${closingPort}/readyz`).catch((error: Error) => error.message))
      .toContain("ECONNREFUSED");
    socket.write("lf");
    await closed;
    await expect.poll(() => answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(await bodyAt(rig.stores["local"] as never, "drained")).toBe("half");
  });
});
