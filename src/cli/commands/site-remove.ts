import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";

export async function siteRemove(context: CliContext, { name }: { readonly name: string }): Outcome {
  return withClient(context, async (client) => {
    await client.sites.remove(name, { signal: context.signal });
    if (context.json) await printJson(context, { name, removed: true });
    else note(context, `Removed site ${name}. Its objects stay where they are.`);
    return undefined;
  });
}
