import type { Command } from "commander";
import type { Action } from "../../action.ts";
import type { CliContext, Outcome } from "../../context.ts";

export function defineCoordinatorWorker(coordinator: Command, action: Action): void {
  coordinator
    .command("worker", { hidden: true })
    .description("a process of a coordinator that answers reads of S3 clients; the coordinator starts it")
    .action(action(coordinatorWorker));
}

async function coordinatorWorker(_context: CliContext): Outcome {
  const { runS3Worker } = await import("../../daemons/s3-worker.ts");
  await runS3Worker();
  return undefined;
}
