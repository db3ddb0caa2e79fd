import { ensureBuilt } from "../../../tools/lib/stale.mjs";

/** Once before the tests from outside: what they start must be what the sources say. */
export async function setup() {
  await ensureBuilt();
}
