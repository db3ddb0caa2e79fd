import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../src/core/ports/clock.ts";
import { createGate } from "../../src/gateways/s3/auth/index.ts";
import { SigV4 } from "../../src/stores/drivers/s3/sigv4.ts";
import { median } from "./report.ts";

const GOAL_US = 60;
const TIMES = 20_000;
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** What the gate costs a small GET: the headers of a real request of an SDK, verified again and again. */
export async function measureVerification(rounds = 5): Promise<void> {
  const credentials = { accessKeyId: "BENCHBENCHBENCHBENCH", secretAccessKey: "secret of the bench".repeat(2) };
  const gate = createGate({
    findAccessKey: () => ({
      id: credentials.accessKeyId,
      secret: credentials.secretAccessKey,
      user: "bench",
      grants: [{ path: "", role: "user" }],
      createdMs: 0,
    }),
    clock: systemClock,
    settings: { region: "us-east-1", bodyIdleMs: 60_000, signatureV2: true },
  });
  const target = { method: "GET", bucket: "bench", key: "small/1", query: new Map<string, string>() };
  await withRequest(credentials, async (http, response) => {
    const times: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const startedMs = performance.now();
      for (let time = 0; time < TIMES; time++) {
        const passed = gate.authenticate(http, response, target);
        if (passed instanceof Promise) throw new Error("The gate waits for a key that is at hand.");
      }
      if (round > 0) times.push(((performance.now() - startedMs) * 1_000) / TIMES);
    }
    const each = median(times);
    console.log(
      `SigV4 verification of a GET: ${each.toFixed(1)} us  goal ${GOAL_US} us ${each < GOAL_US ? "met" : "MISSED"}`,
    );
  });
}

/** A request as it really comes in, held while `work` looks at it. */
async function withRequest(
  credentials: { readonly accessKeyId: string; readonly secretAccessKey: string },
  work: (http: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const headers: Record<string, string> = {
    host: `127.0.0.1:${port}`,
    "user-agent": "aws-sdk-js/3.1169.0 os/linux lang/js md/nodejs#20 api/s3#3.1169.0",
    "amz-sdk-invocation-id": "4c7a1f8e-7c0b-4c1e-9d43-6f4f2f3c7a10",
    "amz-sdk-request": "attempt=1; max=3",
    "x-amz-checksum-mode": "ENABLED",
  };
  const path = "/bench/small/1";
  const signed = new SigV4().sign(
    { region: "us-east-1", credentials },
    { method: "GET", path, query: "", headers, payloadHash: EMPTY_SHA256 },
    Date.now(),
  );
  const arrived = new Promise<readonly [IncomingMessage, ServerResponse]>((resolve) =>
    server.once("request", (http, response) => resolve([http, response])),
  );
  const client = httpRequest({ port, host: "127.0.0.1", path, headers: { ...headers, ...signed } }).end();
  client.on("response", (answer) => answer.resume());
  // It is cut off at the end, on purpose.
  client.on("error", () => undefined);
  const [http, response] = await arrived;
  try {
    await work(http, response);
  } finally {
    response.end();
    client.destroy();
    server.close();
  }
}
