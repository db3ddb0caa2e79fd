import { createHmac } from "node:crypto";
import { Agent, request as send } from "undici";
import type { Clock } from "../../../core/ports/clock.ts";

/** One POST to a receiver. */

export interface Webhook {
  readonly url: string;
  /** Known to the receiver, too: with it the message is signed. */
  readonly secret?: string;
}

/** refused: the receiver understood and will never take it. failed: it may take it another time. */
export type Outcome =
  | { readonly kind: "taken" }
  | { readonly kind: "refused"; readonly status: number }
  | { readonly kind: "failed"; readonly reason: string };

const SIGNATURE_HEADER = "x-globalfs-signature";

const CONNECT_MS = 5_000;
const ANSWER_MS = 15_000;
const MAX_ANSWER_BYTES = 64 * 1_024;
const REFUSALS: readonly number[] = [400, 410, 413, 415, 422];

export interface Poster {
  post(webhook: Webhook, body: string, signal: AbortSignal): Promise<Outcome>;
  close(): Promise<void>;
}

export function createPoster(clock: Clock): Poster {
  const agent = new Agent({ connect: { timeout: CONNECT_MS }, connections: 2, pipelining: 1 });
  return {
    async post({ url, secret }, body, signal) {
      const giveUp = new AbortController();
      const cancel = clock.timer(ANSWER_MS, () => giveUp.abort(new Error("The receiver took too long to answer.")));
      try {
        const answer = await send(url, {
          method: "POST",
          dispatcher: agent,
          signal: AbortSignal.any([signal, giveUp.signal]),
          headers: {
            "content-type": "application/json",
            "user-agent": "GlobalFS",
            ...(secret === undefined ? {} : { [SIGNATURE_HEADER]: signatureOf(secret, body, clock.nowMs()) }),
          },
          body,
        });
        await answer.body.dump({ limit: MAX_ANSWER_BYTES });
        return outcomeOf(answer.statusCode);
      } catch (error) {
        if (signal.aborted) throw error;
        return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
      } finally {
        cancel();
      }
    },
    close: async () => await agent.destroy(),
  };
}

function outcomeOf(status: number): Outcome {
  if (status >= 200 && status < 300) return { kind: "taken" };
  if (REFUSALS.includes(status)) return { kind: "refused", status };
  return { kind: "failed", reason: `The receiver answered ${status}.` };
}

/** `t=SECONDS,v1=HEX`: HMAC-SHA256 of the seconds, a dot and the body, so that neither an altered nor an old message passes. */
export function signatureOf(secret: string, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1_000);
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}
