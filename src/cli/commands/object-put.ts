import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { PutResult } from "@globalfs/client";
import { EXIT, GfsError } from "../../core/errors.ts";
import { formatSize } from "../../core/units.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { createProgress } from "../progress.ts";
import { counted } from "../transfer.ts";

export interface ObjectPutOptions {
  readonly input?: string;
  readonly contentType?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly clobber: boolean;
}

export async function objectPut(context: CliContext, key: string, options: ObjectPutOptions): Outcome {
  const { input, contentType, meta, clobber } = options;
  return withClient(context, async (client) => {
    const source = await openSource(context, input);
    const progress = createProgress(context, { label: key, total: source.size, unit: "bytes" });
    let sizeBytes = 0;
    try {
      const body = counted(source.stream, {
        ...progress,
        advance(amount) {
          sizeBytes += amount;
          progress.advance(amount);
        },
      });
      const result = await client.put(keyOf(key), body, {
        signal: context.signal,
        ...(source.size === undefined ? {} : { size: source.size }),
        ...(contentType === undefined ? {} : { contentType }),
        ...(meta === undefined ? {} : { metadata: meta }),
        ...(clobber ? {} : { ifNoneMatch: "*" }),
      });
      progress.end();
      return await reportPut(context, keyOf(key), sizeBytes, result);
    } finally {
      progress.end();
      source.stream.destroy();
    }
  });
}

async function openSource(context: CliContext, input: string | undefined) {
  if (input === undefined || input === "-") {
    const { stdin } = context.terminal;
    if (stdin.isTTY === true) note(context, "Reading from the terminal; end with Ctrl-D.");
    return { stream: stdin, size: undefined };
  }
  const info = await stat(input);
  if (info.isDirectory()) {
    throw new GfsError("IsADirectory", `${input} is a directory; copy it with: globalfs cp -r ${input} gfs:PREFIX`);
  }
  if (!info.isFile()) return { stream: createReadStream(input), size: undefined };
  // The file may grow while it is read; what was announced is what is sent.
  const end = Math.max(0, info.size - 1);
  const stream = createReadStream(input, { highWaterMark: 256 * 1024, ...(info.size === 0 ? {} : { end }) });
  return { stream, size: info.size };
}

async function reportPut(context: CliContext, key: string, sizeBytes: number, result: PutResult): Outcome {
  const { pendingSites, etag, versionId } = result;
  if (context.json) await printJson(context, { key, size: sizeBytes, etag, versionId, pendingSites });
  else note(context, `Stored ${key} (${formatSize(sizeBytes)}).`);
  if (pendingSites.length === 0) return undefined;
  if (!context.json) note(context, `Replication still has to be queued for: ${pendingSites.join(", ")}.`);
  return EXIT.partial;
}
