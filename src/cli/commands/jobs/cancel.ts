import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { changeJob } from "./change.ts";

export function defineJobsCancel(jobs: Command, action: Action): void {
  jobs
    .command("cancel")
    .description("give a job up")
    .argument("<id>", "the job's id")
    .addHelpText("after", examples("globalfs jobs cancel 01J..."))
    .action(action((context, _options, [id]) => changeJob(context, "cancel", id as string)));
}
