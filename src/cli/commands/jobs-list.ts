import type { Job, JobState } from "@globalfs/client";
import { formatSize } from "../../core/units.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { renderTable } from "../table.ts";

const PAGE = 1_000;

export async function jobsList(
  context: CliContext,
  options: { readonly state?: JobState; readonly limit: number },
): Outcome {
  const { state, limit } = options;
  return withClient(context, async (client) => {
    const jobs: Job[] = [];
    let continuation: string | undefined;
    do {
      const page = await client.jobs.list({
        limit: Math.min(limit - jobs.length, PAGE),
        ...(state === undefined ? {} : { state }),
        ...(continuation === undefined ? {} : { continuation }),
        signal: context.signal,
      });
      jobs.push(...page.jobs);
      ({ continuation } = page);
    } while (continuation !== undefined && jobs.length < limit);
    if (context.json) {
      await printJson(context, jobs);
      return undefined;
    }
    await print(
      context,
      renderTable<Job>(
        context.terminal,
        [
          { title: "ID", value: ({ id }) => id },
          { title: "KIND", value: ({ kind }) => kind },
          { title: "STATE", value: ({ state }) => state, color: (job) => (job.state === "failed" ? "red" : undefined) },
          { title: "DONE", value: progressOf, align: "right" },
          { title: "SITE", value: ({ from, site }) => (from === undefined ? site : `${from} > ${site}`) },
          { title: "KEY", value: ({ key }) => key },
          { title: "REASON", value: ({ reason }) => reason ?? "" },
        ],
        jobs,
      ),
    );
    return undefined;
  });
}

function progressOf({ bytesDone, size, state }: Job): string {
  if (state === "done") return formatSize(size);
  return size > 0 ? `${Math.floor((bytesDone / size) * 100)}% of ${formatSize(size)}` : "-";
}
