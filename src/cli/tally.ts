import { EXIT } from "../core/errors.ts";
import { type CliContext, note, type Outcome, printJson } from "./context.ts";
import { failureOf } from "./failure.ts";
import { type UnseenSites, unseenText } from "./partial.ts";
import { printable } from "./terminal.ts";

/** One of many things with which a command could not do what it does. */
export interface Left {
  readonly name: string;
  readonly code: string;
  readonly reason: string;
}

/** What a command that goes over many things did, and what it could not do. Only the first ones are named. */
export interface Tally {
  done: number;
  bytes: number;
  failed: number;
  leftOut: number;
  readonly failures: Left[];
  readonly omissions: Left[];
  readonly exits: Set<number>;
  lastFailure: unknown;
  readonly pendingSites: Set<string>;
  readonly unseenSites: UnseenSites;
}

export function createTally(): Tally {
  return {
    done: 0,
    bytes: 0,
    failed: 0,
    leftOut: 0,
    failures: [],
    omissions: [],
    exits: new Set(),
    lastFailure: undefined,
    pendingSites: new Set(),
    unseenSites: new Map(),
  };
}

const MOST_NAMED = 20;

/** After these nothing else can succeed either. */
const ENDING: ReadonlySet<string> = new Set(["Unreachable", "Unauthenticated", "Canceled", "BrokenPipe"]);

/** Notes the failure, so that the others go on; throws it again when they would fail in the same way. */
export function countFailure(tally: Tally, name: string, error: unknown): void {
  const { code, message, exit } = failureOf(error);
  if (ENDING.has(code)) throw error;
  tally.failed += 1;
  tally.exits.add(exit);
  tally.lastFailure = error;
  if (tally.failures.length < MOST_NAMED) tally.failures.push({ name, code, reason: message });
}

/** Nothing went wrong, but this one cannot be done. */
export function leaveOut(tally: Tally, left: Left): void {
  tally.leftOut += 1;
  if (tally.omissions.length < MOST_NAMED) tally.omissions.push(left);
}

export interface TallyWords {
  /** Such as "Copied 3 files (2 KiB)". */
  readonly done: (tally: Tally) => string;
  readonly json: (tally: Tally) => Readonly<Record<string, unknown>>;
  /** What is still to happen at these sites. */
  readonly pending: (sites: string) => string;
  /** That something is pending is no success. */
  readonly pendingIsPartial?: true;
}

/** Says what was done also when it ends early, and gives the exit code: success only when nothing was left. */
export async function withTally(
  context: CliContext,
  words: TallyWords,
  work: (tally: Tally) => Promise<void>,
): Outcome {
  const tally = createTally();
  try {
    await work(tally);
  } catch (error) {
    if (tally.done + tally.failed + tally.leftOut > 0) await report(context, words, tally);
    throw error;
  }
  const { done, failed, leftOut, unseenSites } = tally;
  // One thing that failed is a failure like that of any command.
  if (failed === 1 && done + leftOut + unseenSites.size === 0) throw tally.lastFailure;
  await report(context, words, tally);
  return exitOf(tally) ?? (words.pendingIsPartial === true && tally.pendingSites.size > 0 ? EXIT.partial : undefined);
}

async function report(context: CliContext, words: TallyWords, tally: Tally): Promise<void> {
  const { failed, leftOut, failures, omissions, pendingSites, unseenSites } = tally;
  if (context.json) {
    await printJson(context, {
      ...words.json(tally),
      failed,
      failures,
      leftOut,
      omissions,
      pendingSites: [...pendingSites],
      failedSites: Array.from(unseenSites, ([site, error]) => ({ site, error })),
    });
    return;
  }
  for (const { name, reason } of [...omissions, ...failures]) {
    note(context, printable(reason.includes(name) ? reason : `${name}: ${reason}`));
  }
  for (const [site, error] of unseenSites) note(context, unseenText(site, error));
  const more = failed + leftOut - failures.length - omissions.length;
  if (more > 0) note(context, `${more} more are not named here.`);
  const parts = [
    words.done(tally),
    ...(leftOut === 0 ? [] : [`${leftOut} left out`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
  ];
  note(context, `${parts.join(", ")}.`);
  if (pendingSites.size > 0) note(context, words.pending([...pendingSites].join(", ")));
}

function exitOf({ done, failed, leftOut, exits, unseenSites }: Tally): number | undefined {
  if (failed + leftOut + unseenSites.size === 0) return undefined;
  const [exit] = exits;
  return done + leftOut + unseenSites.size === 0 && exits.size === 1 ? exit : EXIT.partial;
}

/** Such as "1 object" and "2 objects". */
export function countText(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
