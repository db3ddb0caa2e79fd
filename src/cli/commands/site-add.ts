import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";

export async function siteAdd(
  context: CliContext,
  options: { readonly name: string; readonly uri: string; readonly role: "primary" | "burst" | "backup" },
): Outcome {
  const { name, uri, role } = options;
  return withClient(context, async (client) => {
    const site = await client.sites.add({ name, uri, role }, { signal: context.signal });
    if (context.json) await printJson(context, site);
    else note(context, `Added site ${name} (${role}).`);
    return undefined;
  });
}
