import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";
import { changeJob, oneOrAll, type OneOrAll } from "./change.ts";

export function defineJobsPause(jobs: Command, action: Action): void {
  jobs
    .command("pause")
    .description("hold a job, or with --all everything that moves")
    .argument("[id]", "the job's id")
    .option("--all", "all jobs")
    .option("--reason <text>", "kept with it, for whoever wonders why")
    .addHelpText(
      "after",
      examples("globalfs jobs pause 01J...", 'globalfs jobs pause --all --reason "the link is being mended"'),
    )
    .action(
      action(async (context, options: OneOrAll, [word]) => {
        const id = oneOrAll("pause", word, options);
        return id === undefined ? pauseAll(context, options) : changeJob(context, "pause", id, options);
      }),
    );
}

async function pauseAll(context: CliContext, { reason }: OneOrAll): Outcome {
  return withClient(context, async (client) => {
    await client.jobs.pauseAll({ signal: context.signal, ...(reason === undefined ? {} : { reason }) });
    if (context.json) await printJson(context, { paused: true });
    else note(context, "All jobs are held.");
    return undefined;
  });
}
