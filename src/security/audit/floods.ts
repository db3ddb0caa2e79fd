import { LRUCache } from "lru-cache";
import type { Clock } from "../../core/ports/clock.ts";
import { fieldsOf } from "./chain.ts";
import type { AuditedOutcome, AuditedRequest, AuditFields, KeyUse } from "./types.ts";

/** What strangers can make happen as often as they like is counted past a bound, so that nobody can fill the disk or drive older lines out. */

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Refusals of a minute that have lines of their own: of one address, and of all. */
const LINES_OF_ONE = 20;
const LINES_OF_ALL = 200;
/** Addresses that are counted by themselves; the rest is counted together. */
const MOST_ADDRESSES = 50;
const MOST_USES = 4_096;

export interface Bounded<T extends readonly unknown[]> {
  add(...what: T): void;
  /** Writes what has been counted. */
  close(): void;
}

export function boundRefusals(
  append: (fields: AuditFields) => void,
  clock: Clock,
): Bounded<[AuditedRequest, AuditedOutcome]> {
  let lines = 0;
  let others = 0;
  let counts = new Map<string, { lines: number; more: number }>();
  let cancel: (() => void) | undefined;
  const flush = (): void => {
    cancel = undefined;
    for (const [from, { more }] of counts) if (more > 0) append({ kind: "refusal", from, more });
    if (others > 0) append({ kind: "refusal", from: "others", more: others });
    lines = 0;
    others = 0;
    counts = new Map();
  };
  return {
    add(request, outcome) {
      cancel ??= clock.timer(MINUTE_MS, flush);
      let count = counts.get(request.from);
      if (count === undefined) {
        count = { lines: 0, more: 0 };
        if (counts.size < MOST_ADDRESSES) counts.set(request.from, count);
      }
      if (lines < LINES_OF_ALL && count.lines < LINES_OF_ONE) {
        lines += 1;
        count.lines += 1;
        append(fieldsOf("refusal", { request, paths: request.paths, outcome }));
      } else if (counts.has(request.from)) count.more += 1;
      else others += 1;
    },
    close() {
      cancel?.();
      flush();
    },
  };
}

interface Use {
  readonly of: KeyUse;
  times: number;
  /** Its hour went by without a use, or others took its place. */
  over: boolean;
}

/** The first use of a key from an address is a line, and each hour in which it was used again another one. */
export function boundKeyUses(
  append: (fields: AuditFields) => void,
  clock: Clock,
): Bounded<[connection: object, identity: object, describe: () => KeyUse]> {
  /** Of each connection the last use: nearly always the next one is the same. */
  const latest = new WeakMap<object, { readonly identity: object; readonly use: Use }>();
  const tell = (use: Use): void => {
    if (use.times > 0) append({ kind: "use", ...use.of, times: use.times });
  };
  const uses = new LRUCache<string, Use>({
    max: MOST_USES,
    dispose(use) {
      if (use.over) return;
      use.over = true;
      tell(use);
    },
  });
  const everyHour = (): void => {
    for (const [key, use] of uses.entries()) {
      if (use.times === 0) {
        use.over = true;
        uses.delete(key);
      } else tell(use);
      use.times = 0;
    }
    cancel = clock.timer(HOUR_MS, everyHour);
  };
  let cancel = clock.timer(HOUR_MS, everyHour);
  return {
    add(connection, identity, describe) {
      const known = latest.get(connection);
      if (known !== undefined && known.identity === identity && !known.use.over) {
        known.use.times += 1;
        return;
      }
      const of = describe();
      const key = `${of.door}\0${of.key}\0${of.user}\0${of.from}`;
      let use = uses.get(key);
      if (use === undefined) {
        use = { of, times: 0, over: false };
        uses.set(key, use);
        append({ kind: "use", ...of });
      } else use.times += 1;
      latest.set(connection, { identity, use });
    },
    close() {
      cancel();
      for (const use of uses.values()) tell(use);
      for (const use of uses.values()) use.times = 0;
    },
  };
}
