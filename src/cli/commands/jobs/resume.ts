import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";
import { changeJob, oneOrAll, type OneOrAll } from "./change.ts";

export function defineJobsResume(jobs: Command, action: Action): void {
  jobs
    .command("resume")
    .description("let a job go on, or with --all everything")
    .argument("[id]", "the job's id")
    .option("--all", "all jobs")
    .addHelpText("after", examples("globalfs jobs resume 01J...", "globalfs jobs resume --all"))
    .action(
      action(async (context, options: OneOrAll, [word]) => {
        const id = oneOrAll("resume", word, options);
        return id === undefined ? resumeAll(context) : changeJob(context, "resume", id);
      }),
    );
}

async function resumeAll(context: CliContext): Outcome {
  return withClient(context, async (client) => {
    await client.jobs.resumeAll({ signal: context.signal });
    if (context.json) await printJson(context, { paused: false });
    else note(context, "Jobs go on.");
    return undefined;
  });
}
