import type { Client } from "@globalfs/client";
import { nearestName } from "../core/config/nearest.ts";
import { GfsError } from "../core/errors.ts";

const NAMES_LOOKED_AT = 1_000;
const LONGEST_NAME = 100;

export interface Asked {
  readonly signal: AbortSignal;
  /** What does for a directory what was asked for, such as "globalfs ls" or "globalfs rm -r". */
  readonly forDirectories: string;
}

/** Why there is no object `key`: it is a directory, or perhaps another name was meant. */
export async function absenceOf(client: Client, key: string, { signal, forDirectories }: Asked): Promise<GfsError> {
  const plain = key.replace(/\/+$/, "");
  try {
    const below = await client.listPage({ prefix: `${plain}/`, limit: 1, signal });
    if (below.objects.length > 0) {
      return new GfsError(
        "IsADirectory",
        `${key} is a directory; for what is below it there is: ${forDirectories} ${plain}`,
      );
    }
    const parent = plain.slice(0, plain.lastIndexOf("/") + 1);
    const beside = await client.listPage({ prefix: parent, delimiter: "/", limit: NAMES_LOOKED_AT, signal });
    const names = [...beside.objects.map((object) => object.key), ...beside.prefixes];
    const written = plain.slice(parent.length, parent.length + LONGEST_NAME);
    const near = nearestName(
      written,
      names
        .map((name) => name.slice(parent.length).replace(/\/$/, ""))
        .filter((name) => name !== "" && name.length <= LONGEST_NAME),
    );
    if (near !== undefined)
      return new GfsError("NotFound", `There is no object ${key}; did you mean ${parent}${near}?`);
  } catch (error) {
    // That it is not there is known; only the help is not to be had.
    signal.throwIfAborted();
    return new GfsError("NotFound", `There is no object ${key}.`, { cause: error });
  }
  return new GfsError("NotFound", `There is no object ${key}.`);
}
