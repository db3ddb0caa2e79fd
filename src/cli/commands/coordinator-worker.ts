import type { CliContext, Outcome } from "../context.ts";

export async function coordinatorWorker(_context: CliContext): Outcome {
  const { runS3Worker } = await import("../daemons/s3-worker.ts");
  await runS3Worker();
  return undefined;
}
