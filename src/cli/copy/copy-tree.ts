import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@globalfs/client";
import { forEachBounded } from "../../core/async/for-each.ts";
import { GfsError } from "../../core/errors.ts";
import type { CliContext } from "../context.ts";
import { UsageError } from "../failure.ts";
import { localPathOf } from "../location.ts";
import { downloadFile } from "./download.ts";
import { copyWithin, uploadFile } from "./upload.ts";
import type { CopyWork } from "./work.ts";

const CONCURRENCY = 8;
const LONGEST_REFUSALS = 20;

/** What lies below the source goes below the target. */
export async function copyTree(context: CliContext, client: Client, work: CopyWork): Promise<void> {
  const { from, to, tally } = work;
  if (from.at === "stdio" || to.at === "stdio")
    throw new UsageError("A whole tree cannot be read from or written to a pipe.");
  if (from.at === "local" && to.at === "gfs") {
    if (!(await stat(from.path)).isDirectory())
      throw new GfsError("NotADirectory", `${from.path} is no directory; leave -r away.`);
    const prefix = withSlash(to.key);
    await forEachBounded(filesBelow(from.path, "", work), CONCURRENCY, async (relative) => {
      await uploadFile(context, client, join(from.path, relative), prefix + relative, work);
      tally.files += 1;
    });
    return;
  }
  if (from.at !== "gfs") return;
  const prefix = withSlash(from.key);
  const objects = client.list({ prefix, signal: context.signal });
  await forEachBounded(objects, CONCURRENCY, async ({ key }) => {
    const relative = key.slice(prefix.length);
    if (to.at === "gfs") await copyWithin(context, client, key, withSlash(to.key) + relative, work);
    else {
      const path = localPathOf(relative);
      if (path === undefined) {
        refuse(work, `${key} was left out: it cannot be the name of a local file.`);
        return;
      }
      await downloadFile(context, client, key, join(to.path, path), work);
    }
    tally.files += 1;
  });
  if (tally.files === 0 && tally.refused.length === 0) {
    throw new GfsError("NotFound", `There is nothing below ${prefix === "" ? "the root" : prefix}.`);
  }
}

function withSlash(key: string): string {
  return key === "" || key.endsWith("/") ? key : `${key}/`;
}

function refuse({ tally }: CopyWork, sentence: string): void {
  if (tally.refused.length < LONGEST_REFUSALS) tally.refused.push(sentence);
  else tally.refused[LONGEST_REFUSALS] = "More were left out.";
}

/** Regular files only; links and devices are named in the report. */
async function* filesBelow(root: string, relative: string, work: CopyWork): AsyncGenerator<string> {
  for await (const entry of await opendir(join(root, relative))) {
    const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(root, path, work);
    else if (entry.isFile()) yield path;
    else refuse(work, `${join(root, path)} was left out: it is no regular file.`);
  }
}
