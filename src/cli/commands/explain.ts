import type { ExplainedRoute, Explanation } from "@globalfs/client";
import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { KEY_HELP } from "../options.ts";
import { renderFacts, renderTable } from "../table.ts";
import { printable } from "../terminal.ts";

export function defineExplain(program: Command, action: Action): void {
  program
    .command("explain")
    .description("say where an object's copies are, which rules hold for it, and what it waits for")
    .argument("<key>", KEY_HELP)
    .addHelpText("after", examples("globalfs explain datasets/hot/a.bin"))
    .action(action((context, _options, [key]) => explain(context, key as string)));
}

async function explain(context: CliContext, key: string): Outcome {
  return withClient(context, async (client) => {
    const explanation = await client.explain(keyOf(key), { signal: context.signal });
    if (context.json) await printJson(context, explanation);
    else await print(context, explanationText(context, explanation));
    return undefined;
  });
}

function explanationText(context: CliContext, explanation: Explanation): string {
  const { object, copies, read, write, jobs, notes, deleted, cachedBytes } = explanation;
  const parts = [
    renderFacts([
      ["Key", explanation.key],
      ["State", stateOf(explanation)],
      ["Size", object === undefined ? undefined : `${object.size} (${formatSize(object.size)})`],
      ["ETag", object?.etag],
      ["Version", object?.versionId],
      ["Last modified", object?.lastModified.toISOString()],
      ["Deleted at", deleted?.at?.toISOString()],
      ["In cache", cachedBytes > 0 ? formatSize(cachedBytes) : undefined],
    ]),
  ];
  if (copies.length > 0) {
    parts.push(
      renderTable<(typeof copies)[number]>(
        context.terminal,
        [
          { title: "COPY AT", value: ({ site }) => site },
          { title: "STATE", value: ({ state }) => state },
          { title: "SITE", value: ({ healthy }) => (healthy ? "healthy" : "unhealthy") },
          { title: "OBJECT", value: ({ key }) => key },
          {
            title: "WHY",
            value: ({ reason, publishTo }) => reason ?? (publishTo === undefined ? "" : `waits to become ${publishTo}`),
          },
        ],
        copies,
      ),
    );
  }
  parts.push(
    renderFacts([
      ["Reads", routeText(read)],
      [
        "Writes",
        `${ruleText(write.rule)}now to ${listText(write.required)}${write.following.length === 0 ? "" : `, later to ${listText(write.following)}`}${write.publish === "soon" ? "" : `, published ${write.publish === "never" ? "never" : "before the answer"}`}`,
      ],
      ["Deletes", routeText(explanation.delete)],
    ]),
  );
  if (jobs.length > 0) {
    parts.push(
      jobs
        .map(
          ({ id, kind, state, site, reason, waitsFor }) =>
            `Job ${id}: ${kind} at ${site} is ${state}${reason === undefined ? "" : `: ${printable(reason)}`}\n${waitsFor === undefined ? "" : `  ${printable(waitsFor)}\n`}`,
        )
        .join(""),
    );
  }
  if (notes.length > 0) parts.push(notes.map((sentence) => `${printable(sentence)}\n`).join(""));
  return parts.join("\n");
}

function stateOf({ exists, deleted, kind }: Explanation): string {
  if (exists) return kind ?? "exists";
  return deleted === undefined ? "does not exist" : "deleted";
}

function ruleText(rule: string | undefined): string {
  return rule === undefined ? "default order: " : `rule ${rule}: `;
}

function listText(names: readonly string[]): string {
  return names.length === 0 ? "no site" : names.join(", ");
}

function routeText({ rule, order, skipped }: ExplainedRoute): string {
  const left = skipped.map(({ site, reason }) => `; not ${site}: ${reason}`).join("");
  return `${ruleText(rule)}${order.length === 0 ? "no site" : order.join(" > ")}${left}`;
}
