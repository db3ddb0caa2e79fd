import { basename, dirname, join } from "node:path";
import type { ObjectInfo } from "@globalfs/client";
import { forEachBounded } from "../../core/async/for-each.ts";
import { GfsError } from "../../core/errors.ts";
import { absenceOf } from "../absent.ts";
import { UsageError } from "../failure.ts";
import { findObject } from "../find-object.ts";
import { type Location, prefixOf } from "../location.ts";
import { countFailure, leaveOut } from "../tally.ts";
import { copyToFile, getObject } from "./download.ts";
import { localPathOf, shownPath } from "./local-names.ts";
import { filesBelow, makeBelow, openTarget } from "./local-tree.ts";
import { copyWithin, uploadFile } from "./upload.ts";
import { copyCounted, type CopyWork } from "./work.ts";

const CONCURRENCY = 8;

/** What lies below the source goes below the target. What cannot be copied is in the tally, and the others go on. */
export async function copyTree(work: CopyWork, from: Location, to: Location): Promise<void> {
  if (from.at === "local" && to.at === "gfs") await uploadTree(work, from.path, prefixOf(to.key));
  else if (from.at === "gfs" && to.at === "local") await downloadTree(work, from.key, to.path);
  else if (from.at === "gfs" && to.at === "gfs") await copyTreeWithin(work, from.key, prefixOf(to.key));
  else throw new UsageError("A whole tree cannot be read from or written to a pipe.");
}

async function uploadTree(work: CopyWork, directory: string, prefix: string): Promise<void> {
  await forEachBounded(filesBelow(work, directory), CONCURRENCY, ({ path, relative }) =>
    attempt(work, shownPath(path), () => copyCounted(work, (own) => uploadFile(own, path, prefix + relative))),
  );
}

async function downloadTree(work: CopyWork, key: string, directory: string): Promise<void> {
  const prefix = prefixOf(key);
  let root: string | undefined;
  await forEachObject(work, key, async ({ key, kind }) => {
    const relative = key.slice(prefix.length);
    if (kind !== undefined) {
      leaveOut(work.tally, {
        name: key,
        code: "Unsupported",
        reason: `${key} was left out: it is no object but a ${kind}.`,
      });
      return;
    }
    const path = localPathOf(relative.replace(/\/$/, ""));
    if (path === undefined && relative !== "") {
      const reason = `${key} was left out: it cannot be the name of a local file.`;
      leaveOut(work.tally, { name: key, code: "InvalidName", reason });
      return;
    }
    await attempt(work, key, async () => {
      root ??= await openTarget(directory);
      // A directory that was made as such is listed as an object with a slash at its end.
      if (path === undefined || relative.endsWith("/")) await makeBelow(root, path ?? "");
      else await downloadFile(work, key, join(await makeBelow(root, dirname(path)), basename(path)));
    });
  });
}

async function downloadFile(work: CopyWork, key: string, path: string): Promise<void> {
  const { signal } = work.context;
  await copyCounted(work, async ({ client, progress }) =>
    copyToFile(await getObject(client, key, signal), path, progress, signal),
  );
}

async function copyTreeWithin(work: CopyWork, key: string, target: string): Promise<void> {
  const source = prefixOf(key);
  if (target.startsWith(source)) {
    throw new UsageError("The target lies in the source; copying would never end.");
  }
  await forEachObject(work, key, async ({ key, kind }) => {
    // Directories are there because something is in them.
    if (key.endsWith("/")) return;
    const to = target + key.slice(source.length);
    if (kind === undefined) await attempt(work, key, () => copyCounted(work, (own) => copyWithin(own, key, to)));
    else if (kind === "symlink") await attempt(work, key, () => copyCounted(work, (own) => copyLink(own, key, to)));
    else leaveOut(work.tally, { name: key, code: "Unsupported", reason: `${key} was left out: it is a ${kind}.` });
  });
}

/** It leads to where it led; what has the name already stays, unless it is such a link, too. */
async function copyLink({ client, context }: CopyWork, from: string, to: string): Promise<void> {
  const { signal } = context;
  const { target = "" } = await client.files.stat(from, { signal });
  const directory = dirname(to);
  if (directory !== ".") await client.files.mkdir(directory, { parents: true, signal });
  try {
    await client.files.symlink(target, to, { signal });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "AlreadyExists") throw error;
    if ((await client.files.stat(to, { signal })).target !== target) throw error;
  }
}

async function forEachObject(work: CopyWork, key: string, copy: (object: ObjectInfo) => Promise<void>): Promise<void> {
  const { client, context, tally } = work;
  const { signal } = context;
  const onPartial = ({ site, error }: { site: string; error: string }): unknown => tally.unseenSites.set(site, error);
  let seen = 0;
  await forEachBounded(
    client.list({ prefix: prefixOf(key), others: true, signal, onPartial }),
    CONCURRENCY,
    async (object) => {
      seen += 1;
      await copy(object);
    },
  );
  if (seen > 0) return;
  if (!key.endsWith("/") && (await findObject(client, key, signal)) !== undefined) {
    throw new GfsError("NotADirectory", `${key} is an object and no directory; leave -r away.`);
  }
  throw await absenceOf(client, key, { signal, forDirectories: "globalfs ls" });
}

async function attempt({ tally }: CopyWork, name: string, copy: () => Promise<void>): Promise<void> {
  try {
    await copy();
  } catch (error) {
    countFailure(tally, name, error);
  }
}
