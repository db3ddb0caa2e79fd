import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { UsageError } from "../failure.ts";

export async function jobsChange(
  context: CliContext,
  verb: "pause" | "resume" | "cancel",
  id: string | undefined,
  options: { readonly all?: boolean },
): Outcome {
  const all = options.all === true;
  if (all === (id !== undefined)) throw new UsageError(`Name one job, or say --all: globalfs jobs ${verb} ID.`);
  const { signal } = context;
  return withClient(context, async (client) => {
    if (id !== undefined) {
      const job = await client.jobs[verb](id, { signal });
      if (context.json) await printJson(context, job);
      else note(context, `Job ${id} is ${job.state}.`);
      return undefined;
    }
    if (verb === "pause") await client.jobs.pauseAll({ signal });
    else await client.jobs.resumeAll({ signal });
    if (context.json) await printJson(context, { paused: verb === "pause" });
    else note(context, verb === "pause" ? "All jobs are held." : "Jobs go on.");
    return undefined;
  });
}
