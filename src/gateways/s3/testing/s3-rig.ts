import net from "node:net";
import { S3Client } from "@aws-sdk/client-s3";
import { systemClock } from "../../../core/ports/clock.ts";
import { type Logger, silentLogger } from "../../../core/ports/log.ts";
import type { AccessGrant, KnownAccessKey } from "../../../coordinator/service/access-keys.ts";
import { type Rig, rigCtx, type RigOptions, startRig } from "../../../coordinator/testing/rig.ts";
import { createMetrics } from "../../../telemetry/index.ts";
import { createS3Gateway, type S3Gateway, type S3GatewayConfig } from "../index.ts";

/** A coordinator over memory behind the S3 endpoint on a real socket. */
export interface S3Rig {
  readonly rig: Rig;
  readonly gateway: S3Gateway;
  readonly port: number;
  readonly url: string;
  /** Of a user who owns what it makes. */
  readonly client: S3Client;
  clientOf(key: KnownAccessKey): S3Client;
  key(user: string, grants?: readonly AccessGrant[]): Promise<KnownAccessKey>;
  metrics(): Promise<string>;
  /** Sends bytes as they are and reads until the other side closes, or until `until` shows. */
  raw(text: string | Buffer, until?: RegExp): Promise<string>;
  stop(): Promise<void>;
}

export interface S3RigOptions {
  readonly rig?: RigOptions;
  readonly config?: Partial<Omit<S3GatewayConfig, "settings">>;
  readonly settings?: Partial<S3GatewayConfig["settings"]>;
  readonly log?: Logger;
}

const EVERYTHING: readonly AccessGrant[] = [{ path: "", role: "user" }];
const PATIENCE_MS = 3_000;

export async function startS3Rig(options: S3RigOptions = {}): Promise<S3Rig> {
  const rig = await startRig(options.rig);
  const metrics = createMetrics({ processMetrics: false });
  const gateway = createS3Gateway(
    { service: rig.coordinator, clock: systemClock, log: options.log ?? silentLogger, metrics },
    {
      domains: [],
      maxConnections: 1_000,
      maxConcurrentRequests: 500,
      maxStrangers: 50,
      ...options.config,
      settings: {
        region: "us-east-1",
        allowAnonymous: false,
        webhooks: {},
        bodyIdleMs: 1_000,
        signatureV2: true,
        ...options.settings,
      },
    },
  );
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${port}`;
  const clients: S3Client[] = [];
  const clientOf = ({ id, secret }: KnownAccessKey): S3Client => {
    const client = new S3Client({
      endpoint: url,
      region: options.settings?.region ?? "us-east-1",
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: id, secretAccessKey: secret },
    });
    clients.push(client);
    return client;
  };
  const key = async (user: string, grants = EVERYTHING): Promise<KnownAccessKey> =>
    await rig.coordinator.createAccessKey(rigCtx, { user, grants });
  return {
    rig,
    gateway,
    port,
    url,
    client: clientOf(await key("alice")),
    clientOf,
    key,
    metrics: async () => (await metrics.render()).body,
    async raw(text, until) {
      return await new Promise((resolve) => {
        const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
        let received = "";
        const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
        socket.on("data", (chunk: Buffer) => {
          received += chunk.toString("latin1");
          if (until?.test(received) === true) socket.destroy();
        });
        socket.on("error", () => undefined);
        socket.on("close", () => {
          clearTimeout(timer);
          resolve(received);
        });
      });
    },
    async stop() {
      for (const client of clients) client.destroy();
      await gateway.close({ drainMs: 100 });
      await rig.stop();
    },
  };
}
