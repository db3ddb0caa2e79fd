import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";

export async function mv(
  context: CliContext,
  from: string,
  to: string,
  options: { readonly force?: boolean },
): Outcome {
  return withClient(context, async (client) => {
    const request = { from: keyOf(from), to: keyOf(to), overwrite: options.force === true };
    await client.rename(request, { signal: context.signal });
    if (context.json) await printJson(context, request);
    else note(context, `Renamed ${request.from} to ${request.to}.`);
    return undefined;
  });
}
