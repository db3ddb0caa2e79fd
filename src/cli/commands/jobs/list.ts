import type { Job, JobPage, JobState } from "@globalfs/client";
import { type Command, Option } from "commander";
import { formatSize } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print, printJson, withClient } from "../../context.ts";
import { positive } from "../../options.ts";
import { pauseText } from "../../pause-text.ts";
import { renderTable } from "../../table.ts";

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
}

export function defineJobsList(jobs: Command, action: Action): void {
  jobs
    .command("list")
    .description("list jobs, the newest first")
    .addOption(new Option("--state <state>", "only jobs in this state").choices(JOB_STATES))
    .option("--limit <n>", "at most so many", positive, 100)
    .addHelpText("after", examples("globalfs jobs list", "globalfs jobs list --state failed"))
    .action(action(jobsList));
}

const PAGE = 1_000;

async function jobsList(context: CliContext, options: Options): Outcome {
  const { state, limit } = options;
  return withClient(context, async (client) => {
    const jobs: Job[] = [];
    let first: JobPage | undefined;
    let continuation: string | undefined;
    do {
      const page = await client.jobs.list({
        order: "newest",
        counts: first === undefined && !context.json,
        limit: Math.min(limit - jobs.length, PAGE),
        ...(state === undefined ? {} : { state }),
        ...(continuation === undefined ? {} : { continuation }),
        signal: context.signal,
      });
      first ??= page;
      jobs.push(...page.jobs);
      ({ continuation } = page);
    } while (continuation !== undefined && jobs.length < limit);
    if (context.json) {
      await printJson(context, jobs);
      return undefined;
    }
    await print(
      context,
      renderTable<Job>(
        context.terminal,
        [
          { title: "ID", value: ({ id }) => id },
          { title: "KIND", value: ({ kind }) => kind },
          { title: "STATE", value: ({ state }) => state, color: (job) => (job.state === "failed" ? "red" : undefined) },
          { title: "DONE", value: progressOf, align: "right" },
          { title: "SITE", value: ({ from, site }) => (from === undefined ? site : `${from} > ${site}`) },
          { title: "KEY", value: ({ key }) => key },
          { title: "WHY", value: ({ waitsFor, reason }) => [waitsFor, reason].filter(Boolean).join(" ") },
        ],
        jobs,
      ),
    );
    if (first?.paused !== undefined) note(context, `All jobs are paused ${pauseText(first.paused)}.`);
    note(context, countText(first?.counts ?? {}, jobs.length));
    return undefined;
  });
}

function countText(counts: Readonly<Record<string, number>>, shown: number): string {
  const states = Object.entries(counts).filter(([, count]) => count > 0);
  const total = states.reduce((sum, [, count]) => sum + count, 0);
  const inStates = states.map(([state, count]) => `${count} ${state}`).join(", ");
  return `${shown} of ${total} jobs shown${inStates === "" ? "" : `; in all ${inStates}`}.`;
}

function progressOf({ bytesDone, size, state }: Job): string {
  if (state === "done") return formatSize(size);
  return size > 0 ? `${Math.floor((bytesDone / size) * 100)}% of ${formatSize(size)}` : "-";
}
