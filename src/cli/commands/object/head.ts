import type { Command } from "commander";
import { GfsError } from "../../../core/errors.ts";
import { formatSize } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../../context.ts";
import { keyOf } from "../../location.ts";
import { KEY_HELP } from "../../options.ts";
import { renderFacts } from "../../table.ts";

export function defineObjectHead(object: Command, action: Action): void {
  object
    .command("head")
    .description("show object metadata: size, ETag, last modified")
    .argument("<key>", KEY_HELP)
    .addHelpText("after", examples("globalfs object head my-key --json"))
    .action(action((context, _options, [key]) => objectHead(context, key as string)));
}

async function objectHead(context: CliContext, key: string): Outcome {
  return withClient(context, async (client) => {
    const info = await client.head(keyOf(key), { signal: context.signal });
    if (info === undefined) throw new GfsError("NotFound", `There is no object ${keyOf(key)}.`);
    if (context.json) {
      await printJson(context, info);
      return undefined;
    }
    await print(
      context,
      renderFacts([
        ["Key", info.key],
        ["Size", `${info.size} (${formatSize(info.size)})`],
        ["ETag", info.etag],
        ["Last modified", info.lastModified.toISOString()],
        ["Content type", info.contentType],
        ["SHA-256", info.sha256],
        ["Version", info.versionId],
        ...Object.entries(info.metadata).map(([name, value]) => [`Meta ${name}`, value] as const),
      ]),
    );
    return undefined;
  });
}
