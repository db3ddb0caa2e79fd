import type { FilePath, SiteName, VersionId } from "../../core/ids.ts";
import {
  afterPrefix,
  decodeKey,
  encodeKey,
  type Key,
  keyAfter,
  type Kv,
  type KvEntry,
  type Program,
  type Transaction,
} from "../../kv/index.ts";
import { type Copy, dropCopies, findByInode, pathOf, readContentRow, removeFile } from "../../namespace/index.ts";
import type { Inode } from "../../core/ids.ts";
import { objectKey } from "./found-rows.ts";

/** What a backup says of objects that the sites do not have: they were removed, or moved, after it was made. */

export interface Missing {
  /** Copies that are forgotten, as their objects are not there. */
  copies: number;
  /** Files of which no bytes are anywhere, and that are gone with their names. */
  files: number;
  /** Some of those. */
  readonly examples: string[];
}

const CONTENT = encodeKey("ic");
const ROWS_A_PAGE = 200;
const MOST_EXAMPLES = 1_000;

export interface ForgetOptions {
  /** Those that were asked for all they have. */
  readonly sites: ReadonlySet<SiteName>;
  readonly nowMs: number;
  readonly nextVersionId: () => VersionId;
}

export async function forgetMissing(kv: Kv, options: ForgetOptions): Promise<Missing> {
  const missing: Missing = { copies: 0, files: 0, examples: [] };
  let start: Key = CONTENT;
  for (;;) {
    const from = start;
    const rows = await kv.view(function* (tx): Program<KvEntry[]> {
      return yield* tx.range({ start: from, end: afterPrefix(CONTENT), limit: ROWS_A_PAGE });
    });
    for (const { key } of rows) {
      const inode = decodeKey(key, ["number"])[0] as Inode;
      const found = await kv.transact((tx) => forgetIn(tx, inode, options));
      missing.copies += found.copies;
      if (found.path === undefined) continue;
      missing.files += 1;
      if (missing.examples.length < MOST_EXAMPLES) missing.examples.push(found.path);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_A_PAGE) return missing;
    start = keyAfter(last.key);
  }
}

function* forgetIn(
  tx: Transaction,
  inode: Inode,
  { sites, nowMs, nextVersionId }: ForgetOptions,
): Program<{ readonly copies: number; readonly path?: string }> {
  const row = yield* tx.get(encodeKey("ic", inode));
  if (row === undefined) return { copies: 0 };
  const { id, copies } = readContentRow({ inode, row });
  const gone: Copy[] = [];
  for (const copy of copies) {
    const isHeld = copy.state === "present" || copy.state === "foreign";
    if (isHeld && sites.has(copy.site) && (yield* tx.get(objectKey(copy.site, copy.key))) === undefined)
      gone.push(copy);
  }
  if (gone.length === 0) return { copies: 0 };
  yield* dropCopies(tx, { inode, versionId: id, gone });
  if (copies.some((copy) => !gone.includes(copy) && (copy.state === "present" || copy.state === "foreign")))
    return { copies: gone.length };
  const file = yield* findByInode(tx, inode);
  const above = file?.parent === undefined ? undefined : yield* pathOf(tx, file.parent.inode);
  if (file?.parent === undefined || above === undefined || file.linkCount !== 1) return { copies: gone.length };
  const path = (above === "" ? file.parent.name : `${above}/${file.parent.name}`) as FilePath;
  yield* removeFile(tx, { path, expect: { kind: "version", id }, nowMs, tombstoneVersionId: nextVersionId() });
  return { copies: gone.length, path };
}
