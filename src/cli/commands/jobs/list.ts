import type { Client, Job, JobPage, JobState } from "@globalfs/client";
import { type Command, Option } from "commander";
import { formatSize } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import {
  type CliContext,
  itemsOf,
  note,
  type Outcome,
  print,
  printJsonItems,
  warn,
  withClient,
} from "../../context.ts";
import { positive } from "../../options.ts";
import { pauseText } from "../../pause-text.ts";
import { type Column, renderPages } from "../../table.ts";

const JOB_STATES = [
  "waiting",
  "running",
  "paused",
  "done",
  "failed",
  "canceled",
] as const satisfies readonly JobState[];

interface Options {
  readonly state?: JobState;
  readonly limit: number;
  readonly after?: string;
  readonly all?: boolean;
}

export function defineJobsList(jobs: Command, action: Action): void {
  jobs
    .command("list")
    .description("list jobs, the newest first")
    .addOption(new Option("--state <state>", "only jobs in this state").choices(JOB_STATES))
    .option("--limit <n>", "at most so many", positive, 100)
    .option("--after <id>", "only those that come after this one in the list")
    .option("--all", "all of them, however many there are")
    .addHelpText(
      "after",
      examples("globalfs jobs list", "globalfs jobs list --state failed", "globalfs jobs list --all --json"),
    )
    .action(action(jobsList));
}

const PAGE = 1_000;

const COLUMNS: readonly Column<Job>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "KIND", value: ({ kind }) => kind },
  { title: "STATE", value: ({ state }) => state, color: ({ state }) => (state === "failed" ? "red" : undefined) },
  { title: "DONE", value: progressOf, align: "right" },
  { title: "SITE", value: ({ from, site }) => (from === undefined ? site : `${from} > ${site}`) },
  { title: "KEY", value: ({ key }) => key },
  { title: "WHY", value: ({ waitsFor, reason }) => [waitsFor, reason].filter(Boolean).join(" ") },
];

async function jobsList(context: CliContext, options: Options): Outcome {
  return withClient(context, async (client) => {
    const seen: Seen = { shown: 0 };
    const pages = jobPages(context, client, options, seen);
    if (context.json) await printJsonItems(context, itemsOf(pages));
    else for await (const text of renderPages(context.terminal, COLUMNS, pages)) await print(context, text);
    const { first, shown, after } = seen;
    if (first?.paused !== undefined) note(context, `All jobs are paused ${pauseText(first.paused)}.`);
    note(context, countText(first?.counts ?? {}, shown));
    if (after !== undefined) {
      warn(context, `There are more jobs: --after ${after} goes on, --limit N or --all shows more at once.`);
    }
    return undefined;
  });
}

function countText(counts: Readonly<Record<string, number>>, shown: number): string {
  const states = Object.entries(counts).filter(([, count]) => count > 0);
  const total = states.reduce((sum, [, count]) => sum + count, 0);
  const inStates = states.map(([state, count]) => `${count} ${state}`).join(", ");
  return `${shown} of ${total} jobs shown${inStates === "" ? "" : `; in all ${inStates}`}.`;
}

/** What was shown of a list, and where it goes on when it was cut off. */
interface Seen {
  first?: JobPage;
  shown: number;
  after?: string;
}

async function* jobPages(
  { signal, json }: CliContext,
  client: Client,
  { state, limit, after, all }: Options,
  seen: Seen,
): AsyncGenerator<readonly Job[]> {
  const ask = (most: number, from: string | undefined): Promise<JobPage> =>
    client.jobs.list({
      order: "newest",
      counts: seen.first === undefined && !json,
      limit: most,
      ...(state === undefined ? {} : { state }),
      ...(from === undefined ? {} : { continuation: from }),
      signal,
    });
  const most = all === true ? Number.POSITIVE_INFINITY : limit;
  let continuation = after;
  do {
    const page = await ask(Math.min(most - seen.shown, PAGE), continuation);
    seen.first ??= page;
    seen.shown += page.jobs.length;
    yield page.jobs;
    ({ continuation } = page);
  } while (continuation !== undefined && seen.shown < most);
  // A page that ended just there names where it would go on, too.
  if (continuation !== undefined && (await ask(1, continuation)).jobs.length > 0) seen.after = continuation;
}

/** What is left to do is never shown as done: the bytes of a try that failed say nothing of the next, and all bytes are not yet a copy. */
export function progressOf({ bytesDone, size, state }: Job): string {
  if (state === "done") return formatSize(size);
  if (size === 0) return "-";
  if (state !== "running" && state !== "paused") return `- of ${formatSize(size)}`;
  return `${Math.min(99, Math.floor((bytesDone / size) * 100))}% of ${formatSize(size)}`;
}
