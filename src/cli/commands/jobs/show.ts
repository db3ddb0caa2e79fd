import type { Client, Job } from "@globalfs/client";
import type { Command } from "commander";
import { EXIT } from "../../../core/errors.ts";
import { formatSize } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print, printJson, withClient } from "../../context.ts";
import { createProgress } from "../../progress.ts";
import { renderFacts } from "../../table.ts";

interface Options {
  readonly watch?: boolean;
}

export function defineJobsShow(jobs: Command, action: Action): void {
  jobs
    .command("show")
    .description("show one job")
    .argument("<id>", "the job's id")
    .option("--watch", "follow it until it ends")
    .addHelpText("after", examples("globalfs jobs show 01J... --watch"))
    .action(action((context, options: Options, [id]) => jobsShow(context, id as string, options)));
}

async function jobsShow(context: CliContext, id: string, options: Options): Outcome {
  return withClient(context, async (client) => {
    if (options.watch === true) return followJob(context, client, id);
    await printJob(context, await client.jobs.get(id, { signal: context.signal }));
    return undefined;
  });
}

/** Shows a bar until the job ends; success only when it is done. */
export async function followJob(context: CliContext, client: Client, id: string): Outcome {
  let last: Job | undefined;
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    for await (const job of client.jobs.watch(id, { signal: context.signal, intervalMs: 200 })) {
      progress ??= createProgress(context, { label: job.key, total: job.size, unit: "bytes" });
      progress.advance(Math.max(0, job.bytesDone - (last?.bytesDone ?? 0)));
      last = job;
    }
  } finally {
    progress?.end();
  }
  const job = last as Job;
  if (context.json) await printJson(context, hasLeft(job) ? { ...job, state: "ended" } : job);
  else if (job.state === "done") note(context, `Job ${id} is done.`);
  else if (hasLeft(job))
    note(
      context,
      `Job ${id} has ended and left nothing behind; \`globalfs explain ${job.key}\` tells where the object is.`,
    );
  else note(context, `Job ${id} ${job.state}${job.reason === undefined ? "." : `: ${job.reason}`}`);
  return job.state === "done" || hasLeft(job) ? undefined : EXIT.failure;
}

/** Seen before its end, which then left no row. */
function hasLeft({ kind, state }: Job): boolean {
  return kind === "publish" && (state === "waiting" || state === "running");
}

export async function printJob(context: CliContext, job: Job): Promise<void> {
  if (context.json) return printJson(context, job);
  const { bytesPerSecond, etaSeconds } = job;
  await print(
    context,
    renderFacts([
      ["Job", job.id],
      ["Kind", job.kind],
      ["State", job.state],
      ["Waits", job.waitsFor],
      ["Key", job.key],
      ["From", job.from],
      ["Site", job.site],
      ["Progress", `${formatSize(job.bytesDone)} of ${formatSize(job.size)}`],
      ["Rate", bytesPerSecond === undefined ? undefined : `${formatSize(bytesPerSecond)}/s`],
      ["Time left", etaSeconds === undefined ? undefined : `${Math.ceil(etaSeconds)} s`],
      ["Attempts", String(job.attempts)],
      ["Reason", job.reason],
      ["Not before", job.notBefore?.toISOString()],
      ["Created", job.createdAt?.toISOString()],
      ["Changed", job.changedAt?.toISOString()],
    ]),
  );
}
