import { GfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import type { Program, Reader } from "../kv/index.ts";
import { bucketOf, keepsVersions, NO_RULES, rulesOf } from "./bucket-rows.ts";
import { denied } from "./locks.ts";

/** Whether a directory may have another name: what hangs below it has histories that only some buckets keep. */
export function* checkDirectoryRules(
  tx: Reader,
  { from, to }: { readonly from: FilePath; readonly to: FilePath },
): Program<void> {
  const rules = yield* rulesOf(tx, `${from}/`);
  if (rules.objectLock) {
    throw denied(
      `${from} lies in a bucket with object lock: what may be locked there keeps its name. Rename single files.`,
    );
  }
  const [wasBucket, isBucket] = [bucketOf(from) === undefined, bucketOf(to) === undefined];
  // A bucket takes its rules along.
  if (!keepsVersions(rules) || (wasBucket && isBucket)) return;
  if (keepsVersions(isBucket ? NO_RULES : yield* rulesOf(tx, `${to}/`))) return;
  throw new GfsError(
    "Conflict",
    `${from} lies in a bucket that keeps versions, and none are kept at ${to}; move its files one by one, or turn versioning on there.`,
    { op: "namespace.rename", retry: "never" },
  );
}
