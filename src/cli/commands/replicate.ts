import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { followJob } from "./jobs-show.ts";

export async function replicate(
  context: CliContext,
  options: { readonly key: string; readonly from: string; readonly to: string; readonly wait?: boolean },
): Outcome {
  const { from, to, wait } = options;
  const key = keyOf(options.key);
  return withClient(context, async (client) => {
    const job = await client.replicate({ key, from, to }, { signal: context.signal });
    if (wait === true) return followJob(context, client, job.id);
    if (context.json) await printJson(context, job);
    else note(context, `Queued ${key} from ${from} to ${to} as job ${job.id}.`);
    return undefined;
  });
}
