import { InvalidArgumentError } from "commander";
import { parseDurationMs } from "../core/units.ts";

/** Keys may be written plain or as `gfs:key`. */
export const KEY_HELP = "the object's key, plain or as gfs:key";

export const WORKERS_HELP = "processes that answer reads of S3 clients";
export const OPEN_HELP = "without any key: every user of this machine may do everything; only on loopback";
const MOST_WORKERS = 64;

export function workerCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MOST_WORKERS)
    throw new InvalidArgumentError(`Give a number from 1 to ${MOST_WORKERS}.`);
  return count;
}

export function positive(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("Write a whole number above zero.");
}

/** In the feed of changes. */
export function place(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Write the position of an event, or 0.");
}

export function durationMs(text: string): number {
  try {
    return parseDurationMs(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
