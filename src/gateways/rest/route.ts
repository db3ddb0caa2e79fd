import type { z } from "zod";
import type { CoordinatorService } from "../../coordinator/index.ts";
import type { Ctx } from "../../core/context.ts";
import type { AuditTrail } from "../../security/index.ts";
import type { Told } from "../http/index.ts";
import type { RequestAccess } from "./access/request-access.ts";
import type { StreamEvent } from "./event-stream.ts";

/** One line of the table of JSON routes. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** `{name}` is one component; `{key...}` is the rest of the path. */
  readonly path: string;
  readonly summary: string;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** By status; undefined: no body. */
  readonly answers: Readonly<Record<number, z.ZodType | undefined>>;
  /** What the caller has to be allowed, asked before anything is done. What shows only what the caller may see asks for itself. */
  readonly needs: (access: RequestAccess, call: Call) => void | Promise<void>;
  /** Answers lines of JSON as they come, the last with `done`. */
  readonly stream?: (service: CoordinatorService, call: Call) => AsyncIterable<unknown>;
  /** Answers server-sent events, page by page, for as long as the caller stays. */
  readonly follow?: (service: CoordinatorService, call: Call) => AsyncIterable<readonly StreamEvent[]>;
  /** It may take minutes: where it does, the answer begins with 200 and white space, and what follows is the result or the error. */
  readonly long?: boolean;
  readonly run?: (service: CoordinatorService, call: Call) => Promise<Reply>;
}

export interface Call {
  readonly ctx: Ctx;
  readonly access: RequestAccess;
  /** The same, asked anew: throws where the key was taken away or has ended since. */
  readonly again: () => Promise<RequestAccess>;
  readonly params: Readonly<Record<string, string>>;
  readonly query: unknown;
  readonly body: unknown;
  readonly audit: AuditTrail;
  /** What the audit trail is told besides. */
  readonly told: Told;
}

export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export const ok = (body: unknown): Reply => ({ status: 200, body });

export const param = (call: Call, name: string): string => call.params[name] ?? "";

/** The answer holds what the caller may see, and nothing else. */
export const shownAsSeen = (): void => undefined;
