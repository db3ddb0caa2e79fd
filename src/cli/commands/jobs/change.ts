import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";
import { UsageError } from "../../failure.ts";

export interface OneOrAll {
  readonly all?: boolean;
  readonly reason?: string;
}

/** Either one job is meant, or all of them; which, has to be said. */
export function oneOrAll(verb: string, id: string | undefined, { all }: OneOrAll): string | undefined {
  if ((all === true) === (id !== undefined)) {
    throw new UsageError(`Name one job, or say --all: globalfs jobs ${verb} ID.`);
  }
  return id;
}

export async function changeJob(
  context: CliContext,
  verb: "pause" | "resume" | "cancel",
  id: string,
  { reason }: Pick<OneOrAll, "reason"> = {},
): Outcome {
  return withClient(context, async (client) => {
    const job = await client.jobs[verb](id, { signal: context.signal, ...(reason === undefined ? {} : { reason }) });
    if (context.json) await printJson(context, job);
    else note(context, `Job ${id} is ${job.state}.`);
    return undefined;
  });
}
