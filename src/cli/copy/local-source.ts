import { createReadStream, type ReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { GfsError } from "../../core/errors.ts";

const PIECE_BYTES = 256 * 1024;

export interface LocalSource {
  readonly stream: ReadStream;
  /** Unknown for pipes and devices. */
  readonly size: number | undefined;
}

/** A local file to be read once, from its beginning. */
export async function openLocalSource(path: string): Promise<LocalSource> {
  const size = await localSize(path);
  if (size === undefined) return { stream: createReadStream(path), size };
  // The file may grow while it is read; what was announced is what is sent.
  const end = Math.max(0, size - 1);
  return { stream: createReadStream(path, { highWaterMark: PIECE_BYTES, ...(size === 0 ? {} : { end }) }), size };
}

export async function localSize(path: string): Promise<number | undefined> {
  const info = await stat(path);
  if (info.isDirectory()) {
    throw new GfsError("IsADirectory", `${path} is a directory; copy it with: globalfs cp -r ${path} gfs:PREFIX`);
  }
  return info.isFile() ? info.size : undefined;
}
