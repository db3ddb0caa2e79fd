import type { Kv, KvEntry, Program } from "../kv/index.ts";
import { afterPrefix, encodeKey, type Key } from "../kv/index.ts";
import {
  type CatalogCounts,
  checkCounters,
  checkNamespace,
  createScan,
  type Scan,
  showKey,
} from "../namespace/index.ts";
import { findSpace } from "./spaces.ts";

/**
 * Holds every row of the catalog against the others, as it was at one moment: the coordinator goes on meanwhile. It remembers a few bits for each inode, so that it does
 * not matter how large the catalog is.
 */

export interface Finding {
  readonly sentence: string;
  /** What a person does about it. */
  readonly fix: string;
}

export interface CheckReport extends CatalogCounts {
  readonly jobs: number;
  /** Rows that were looked at. */
  readonly rows: number;
  /** How many faults there are, however many are told. */
  readonly faults: number;
  readonly findings: readonly Finding[];
}

export interface CheckDeps {
  /** What other rooms keep in the catalog. */
  readonly checkJobs: (scan: Scan) => Promise<{ readonly jobs: number }>;
  readonly checkSetAside: (scan: Scan) => Promise<void>;
}

export interface CheckOptions {
  readonly signal?: AbortSignal;
  readonly onRows?: (rows: number) => void;
  /** So many findings are told. */
  readonly mostFindings?: number;
}

const MOST_FINDINGS = 1_000;

const REBUILD =
  "Save the catalog with `globalfs meta dump`, stop the coordinator, and make the catalog anew with `globalfs meta rebuild`, which takes the newest backup and what the sites hold.";
const JOBS =
  "Nothing is lost, but copies may wait for ever: `globalfs replicate` orders one of a key anew, and `globalfs explain` shows which copies wait.";
const UNKNOWN = "Use the release that wrote the row; an older one of GlobalFS does not know it.";

export async function checkMeta(source: Kv, deps: CheckDeps, options: CheckOptions = {}): Promise<CheckReport> {
  const most = options.mostFindings ?? MOST_FINDINGS;
  const findings: Finding[] = [];
  let faults = 0;
  let rows = 0;
  const faultsWith =
    (fix: string) =>
    (sentence: string): void => {
      faults += 1;
      if (findings.length < most) findings.push({ sentence, fix });
    };
  const { signal } = options;
  const onRows = (count: number): void => {
    rows += count;
    options.onRows?.(count);
  };
  const scanOptions = (fix: string) => ({
    fault: faultsWith(fix),
    onRows,
    ...(signal === undefined ? {} : { signal }),
  });
  const snapshot = await source.snapshot();
  try {
    const { highestInode, ...counts } = await checkNamespace(snapshot, scanOptions(REBUILD));
    await checkCounters(createScan(snapshot, scanOptions(REBUILD)), { highestInode, revision: snapshot.revision });
    const { jobs } = await deps.checkJobs(createScan(snapshot, scanOptions(JOBS)));
    await deps.checkSetAside(createScan(snapshot, scanOptions(REBUILD)));
    await checkSpaces(snapshot, faultsWith(UNKNOWN));
    await checkOtherRows(createScan(snapshot, scanOptions(REBUILD)));
    return { ...counts, jobs, rows, faults, findings };
  } finally {
    await snapshot.close();
  }
}

/** Steps from space to space. */
async function checkSpaces(source: Pick<Kv, "view">, fault: (sentence: string) => void): Promise<void> {
  for (let start: Key = Buffer.from([0]); ;) {
    const from = start;
    const [row] = await source.view(function* (tx): Program<KvEntry[]> {
      return yield* tx.range({ start: from, end: Buffer.from([0xff]), limit: 1 });
    });
    if (row === undefined) return;
    const name = spaceOf(row.key);
    if (name === undefined || findSpace(name) === undefined)
      fault(`The row ${showKey(row.key)} is of a kind that this release does not know.`);
    start = name === undefined ? afterPrefix(row.key) : afterPrefix(encodeKey(name));
  }
}

/** The first part of a key; undefined where it has none. */
export function spaceOf(key: Key): string | undefined {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const end = bytes.indexOf(0);
  return end === -1 ? undefined : bytes.toString("latin1", 0, end);
}

/** Rows that stand for themselves can be read. */
async function checkOtherRows(scan: Scan): Promise<void> {
  for (const name of LONE_SPACES) {
    const space = findSpace(name);
    if (space === undefined) continue;
    // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
    await scan.rows(encodeKey(name), function* (_tx, { key, value }) {
      if (!canRead(() => space.value.decode(value, key))) scan.fault(`The row ${showKey(key)} cannot be read.`);
    });
  }
}

const LONE_SPACES = [
  "t",
  "w",
  "c",
  "m",
  "vs",
  "jp",
  "k",
  "coordinator-site",
  "coordinator-sweep",
  "coordinator-upload",
  "coordinator-place",
  "coordinator-publishing",
  "coordinator-feed",
  "coordinator-lifecycle",
] as const;

function canRead(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
