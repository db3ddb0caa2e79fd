import { createReadStream, type ReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { GfsError } from "../../core/errors.ts";
import type { Progress } from "../progress.ts";
import { shownPath } from "./local-names.ts";
import { countedFromTheBeginning } from "./work.ts";

const PIECE_BYTES = 256 * 1024;

export interface LocalSource {
  /** From the beginning; a second time only where the size is known. */
  open(): ReadStream;
  /** Unknown for pipes and devices. */
  readonly size: number | undefined;
}

export async function openLocalSource(path: string | Buffer): Promise<LocalSource> {
  const size = await localSize(path);
  if (size === undefined) return { open: () => createReadStream(path), size };
  // The file may grow while it is read; what was announced is what is sent.
  const end = Math.max(0, size - 1);
  return {
    open: () => createReadStream(path, { highWaterMark: PIECE_BYTES, ...(size === 0 ? {} : { end }) }),
    size,
  };
}

/** Only a file can be read from its beginning again; a pipe is a stream that is sent once. */
export function localBody({ open, size }: LocalSource, progress: Pick<Progress, "advance">) {
  const body = countedFromTheBeginning(open, progress);
  return { body: size === undefined ? body() : body, size };
}

export async function localSize(path: string | Buffer): Promise<number | undefined> {
  const info = await stat(path);
  if (info.isDirectory()) {
    const shown = shownPath(path);
    throw new GfsError("IsADirectory", `${shown} is a directory; copy it with: globalfs cp -r ${shown} gfs:PREFIX`);
  }
  return info.isFile() ? info.size : undefined;
}
