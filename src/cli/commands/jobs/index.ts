import type { Command } from "commander";
import type { Action } from "../../action.ts";
import { defineJobsCancel } from "./cancel.ts";
import { defineJobsList } from "./list.ts";
import { defineJobsPause } from "./pause.ts";
import { defineJobsResume } from "./resume.ts";
import { defineJobsShow } from "./show.ts";

export function defineJobs(program: Command, action: Action): void {
  const jobs = program.command("jobs").description("background work: replication, repair, removal, publishing");
  for (const define of [defineJobsList, defineJobsShow, defineJobsPause, defineJobsResume, defineJobsCancel]) {
    define(jobs, action);
  }
}
