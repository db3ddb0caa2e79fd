import { type CliContext, type Outcome, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { createProgress } from "../progress.ts";
import { copyToFile, copyToStdout, getObject } from "../transfer.ts";

export async function objectGet(context: CliContext, key: string, options: { readonly output?: string }): Outcome {
  const { output } = options;
  return withClient(context, async (client) => {
    const download = await getObject(client, keyOf(key), context.signal);
    const total = download.end - download.start;
    const progress = createProgress(context, { label: key, total, unit: "bytes" });
    try {
      if (output === undefined || output === "-") await copyToStdout(context, download, progress);
      else await copyToFile(download, output, progress, context.signal);
    } finally {
      progress.end();
    }
    return undefined;
  });
}
