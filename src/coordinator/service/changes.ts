import type { Ctx } from "../../core/context.ts";
import type { Change } from "../../namespace/types.ts";

/** The change feed: what happened to names, in the order of the commits. The catalog keeps seven days of it. */

export interface ChangeLine extends Change {
  /** Later changes have higher ones, with gaps between them. */
  readonly position: number;
}

export interface ChangeFeedPage {
  readonly changes: readonly ChangeLine[];
  /** Where the page begins: where it was asked to, or later, when what lies between was forgotten before anybody asked. */
  readonly after: number;
}

export interface FeedRequest {
  readonly after: number;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface ChangeService {
  readChanges(ctx: Ctx, request: FeedRequest): Promise<ChangeFeedPage>;
  /**
   * The pages from there on, each as soon as there is one, until the signal aborts; none is empty, but for one whenever nothing happened for `idleMs`. The
   * reader sets the pace, and nothing waits for it in memory.
   */
  followChanges(ctx: Ctx, request: FeedRequest & { readonly idleMs: number }): AsyncGenerator<ChangeFeedPage>;
  /** The position of the newest change; 0 when there is none. */
  lastChange(ctx: Ctx): Promise<number>;
  /** How far a reader has come, by its name; undefined for one that has kept nothing. Durable. */
  findFeedPlace(ctx: Ctx, reader: string): Promise<number | undefined>;
  keepFeedPlace(ctx: Ctx, reader: string, position: number): Promise<void>;
  /** Whether this process does the background work. What must happen once in a cluster is done where this is true. */
  readonly leads: boolean;
}
