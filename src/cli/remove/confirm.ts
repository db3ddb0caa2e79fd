import type { Client } from "@globalfs/client";
import { GfsError } from "../../core/errors.ts";
import { formatSize } from "../../core/units.ts";
import type { Questions } from "../ask.ts";
import type { CliContext } from "../context.ts";
import { findObject } from "../find-object.ts";
import { isRoot, prefixOf } from "../location.ts";
import { countText } from "../tally.ts";

/** So many go without a question. */
const FEW = 3;
/** Counting ends there. */
const MOST_COUNTED = 10_000;

export interface Meant {
  readonly keys: readonly string[];
  readonly recursive: boolean;
}

/** Says how much is meant, and asks, when it is more than a few objects. */
export async function confirmRemoval(
  { signal }: CliContext,
  client: Client,
  questions: Questions,
  { keys, recursive }: Meant,
): Promise<void> {
  const { objects, bytes } = recursive ? await countBelow(client, keys, signal) : { objects: keys.length, bytes: 0 };
  if (objects <= FEW) return;
  const many = objects > MOST_COUNTED ? `more than ${countText(MOST_COUNTED, "object")}` : countText(objects, "object");
  const size = bytes === 0 || objects > MOST_COUNTED ? "" : ` (${formatSize(bytes)})`;
  const place = !recursive ? "" : keys.some(isRoot) ? ", everything there is" : ` at and below ${keys.join(", ")}`;
  if (await questions.ask(`Delete ${many}${size}${place}?`)) return;
  throw new GfsError("Canceled", "Nothing was deleted.");
}

async function countBelow(client: Client, keys: readonly string[], signal: AbortSignal) {
  const counted = { objects: 0, bytes: 0 };
  const add = (size: number): void => {
    counted.objects += 1;
    counted.bytes += size;
  };
  for (const key of keys) {
    const prefix = prefixOf(key);
    const own = prefix === "" || prefix === key ? undefined : await findObject(client, key, signal);
    if (own !== undefined) add(own.size);
    // Sites that cannot be asked are told of when it is done.
    for await (const { size } of client.list({ prefix, signal, onPartial: () => undefined })) {
      add(size);
      if (counted.objects > MOST_COUNTED) return counted;
    }
  }
  return counted;
}
