import { request as send } from "undici";
import { type Rig, startRig, type RigOptions } from "../../../coordinator/testing/rig.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { type Logger, silentLogger } from "../../../core/ports/log.ts";
import { type AuditTrail, createKeyring, hashApiKey } from "../../../security/index.ts";
import { createMetrics } from "../../../telemetry/index.ts";
import type { BodyTurns } from "../../http/index.ts";
import { type Conversation, talkTo } from "../../http/testing/conversation.ts";
import { createRestGateway, type RestGatewayConfig } from "../index.ts";

type Headers = Record<string, string>;

export interface Got {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly bytes: Buffer;
  readonly json: () => any; // oxlint-disable-line typescript/no-explicit-any -- tests look into answers
}

export interface ServedRest {
  readonly rig: Rig;
  readonly port: number;
  call(
    method: string,
    path: string,
    options?: { readonly headers?: Headers; readonly body?: string | Buffer },
  ): Promise<Got>;
  /** Sends bytes as they are; the conversation ends when the other side closes it. */
  talk(text: string | Buffer): Conversation;
  close(): Promise<void>;
}

export interface ServeOptions {
  readonly rig?: RigOptions;
  readonly apiKey?: string;
  readonly log?: Logger;
  readonly audit?: AuditTrail;
  readonly turns?: BodyTurns;
  readonly config?: Partial<RestGatewayConfig>;
}

/** The gateway over a coordinator in memory, on a port of its own. */
export async function serveRest({
  rig: rigOptions,
  apiKey,
  log,
  audit,
  turns,
  config,
}: ServeOptions = {}): Promise<ServedRest> {
  const rig = await startRig(rigOptions);
  const metrics = createMetrics({ processMetrics: false });
  const gateway = await createRestGateway(
    {
      service: rig.coordinator,
      keyring: createKeyring(apiKey === undefined ? [] : [{ name: "test", hash: hashApiKey(apiKey) }]),
      clock: systemClock,
      log: log ?? silentLogger,
      metrics,
      ...(audit === undefined ? {} : { audit }),
      ...(turns === undefined ? {} : { turns }),
      renderMetrics: () => metrics.render(),
    },
    { version: "1.2.3", maxConcurrentRequests: 100, bodyIdleMs: 500, ...config },
  );
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 });
  return {
    rig,
    port,
    async call(method, path, { headers, body } = {}) {
      const answer = await send(`http://127.0.0.1:${port}${path}`, {
        method: method as "GET",
        ...(headers === undefined ? {} : { headers }),
        ...(body === undefined ? {} : { body }),
      });
      const bytes = Buffer.from(await answer.body.arrayBuffer());
      return { status: answer.statusCode, headers: answer.headers, bytes, json: () => JSON.parse(bytes.toString()) };
    },
    talk: (text) => talkTo(port, text),
    async close() {
      await gateway.close({ drainMs: 100 });
      await rig.stop();
    },
  };
}
