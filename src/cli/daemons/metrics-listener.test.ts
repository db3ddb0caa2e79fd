import { afterEach, expect, it } from "vitest";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { talkTo } from "../../gateways/http/testing/conversation.ts";
import { createKeyring, createTokenGate, hashApiKey, noAudit } from "../../security/index.ts";
import { listenForMetrics, type MetricsListener } from "./metrics-listener.ts";

let listener: MetricsListener | undefined;
const refusals: string[] = [];
afterEach(async () => await listener?.close());

async function ask(host: string, more = "", { key, hostNames = [] }: { key?: string; hostNames?: string[] } = {}) {
  await listener?.close();
  listener = await listenForMetrics({
    audit: { ...noAudit, refused: (request, { status }) => refusals.push(`${request.door} ${request.path} ${status}`) },
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    hostNames,
    tokens: createTokenGate({
      keyring: createKeyring(key === undefined ? [] : [{ name: "test", hash: hashApiKey(key) }]),
      findAccessKey: () => undefined,
      clock: systemClock,
    }),
    asksForKeys: key !== undefined,
    log: silentLogger,
    render: () => Promise.resolve({ contentType: "text/plain", body: "# nothing\n" }),
  });
  const request = `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`;
  return await talkTo(listener.port, request).ended;
}

it("Metrics are told under local names and listed ones, and to no page that has made up a name for this machine", async () => {
  expect(await ask("localhost:9090")).toMatch(/^HTTP\/1\.1 200 .*# nothing/s);
  expect(await ask("evil.example:9090")).toMatch(/^HTTP\/1\.1 403 /);
  expect(await ask("evil.example", "X-GlobalFS-API-Key: secret\r\n", { key: "secret" })).toMatch(/^HTTP\/1\.1 403 /);
  expect(await ask("metrics.lab", "", { hostNames: ["metrics.lab"] })).toMatch(/^HTTP\/1\.1 200 /);
  expect(await ask("localhost", "Sec-Fetch-Site: cross-site\r\n")).toMatch(/^HTTP\/1\.1 403 /);
});

it("Metrics are told to who has a key, where there are keys", async () => {
  expect(await ask("localhost", "", { key: "secret" })).toMatch(/^HTTP\/1\.1 401 /);
  expect(await ask("localhost", "Authorization: Bearer secret\r\n", { key: "secret" })).toMatch(/^HTTP\/1\.1 200 /);
  expect(refusals.at(-1)).toBe("metrics /metrics 401");
});
