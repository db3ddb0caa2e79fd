import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { dropQuota, type Quota, type QuotaLimits, readQuota, writeQuota } from "../quota-rows.ts";
import { quotasAbove, usageBelow } from "../usage.ts";
import { getDirectory } from "./child.ts";
import { getattr } from "./lookup.ts";

/** What is there already counts, also where it is more than the limits allow: then nothing more comes. */
export function* setQuota(tx: Transaction, directory: Inode, limits: QuotaLimits): Program<Quota> {
  yield* getDirectory(tx, directory);
  const used = (yield* readQuota(tx, directory))?.used ?? (yield* usageBelow(tx, directory));
  const quota = { ...limits, used };
  yield* writeQuota(tx, directory, quota);
  return quota;
}

/** Resolves with whether there was one. */
export function clearQuota(tx: Transaction, directory: Inode): Program<boolean> {
  return dropQuota(tx, directory);
}

/** What statfs(2) tells where quotas are: the limits and the usage of the nearest directory above that has one, or what the whole tree takes. */
export function* statfs(tx: Reader, inode: Inode): Program<Quota> {
  const { kind, parent } = yield* getattr(tx, inode);
  const [nearest] = yield* quotasAbove(tx, kind === "directory" ? inode : (parent?.inode ?? ROOT_INODE));
  return nearest?.quota ?? { used: yield* usageBelow(tx, ROOT_INODE) };
}
