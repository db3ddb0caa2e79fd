import type { Command } from "commander";
import { formatSize } from "../../../core/units.ts";
import { absenceOf } from "../../absent.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../../context.ts";
import { findObject } from "../../find-object.ts";
import { keyOf } from "../../location.ts";
import { KEY_HELP } from "../../options.ts";
import { renderFacts } from "../../table.ts";

export function defineObjectHead(object: Command, action: Action): void {
  object
    .command("head")
    .description("show object metadata: size, ETag, last modified")
    .argument("<key>", KEY_HELP)
    .addHelpText("after", examples("globalfs object head my-key --json"))
    .action(action((context, _options, [key]) => objectHead(context, keyOf(key as string))));
}

async function objectHead(context: CliContext, key: string): Outcome {
  return withClient(context, async (client) => {
    const { signal } = context;
    const info = await findObject(client, key, signal);
    if (info === undefined) throw await absenceOf(client, key, { signal, forDirectories: "globalfs ls" });
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
