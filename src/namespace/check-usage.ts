import { type Inode, ROOT_INODE } from "../core/ids.ts";
import type { KvEntry, Program, Reader } from "../kv/index.ts";
import { decodeHistory } from "./history-rows.ts";
import { readContent } from "./inodes.ts";
import { countQuotas, decodeQuota, type Quota, quotaSpace } from "./quota-rows.ts";
import { inodeOfKey } from "./rows.ts";
import type { FileAttributes } from "./types.ts";
import { ONE_INODE, usageOfFile } from "./usage.ts";
import {
  decodeUsage,
  isSameUsage,
  NOTHING_USED,
  sum,
  type Usage,
  type UsageRow,
  usageSpace,
  waitingSpace,
} from "./usage-rows.ts";

/** Counts what lies in each directory, and holds what the directories and quotas say against it. */

type Fault = (sentence: string) => void;

export class UsageCheck {
  /** What hangs in a directory itself. */
  readonly #own = new Map<Inode, Usage>();
  readonly #childrenOf = new Map<Inode, Inode[]>();
  readonly #rows = new Map<Inode, UsageRow>();
  readonly #waiting = new Set<Inode>();
  readonly #quotas = new Map<Inode, Quota>();

  seeInode(file: FileAttributes, isPast: boolean): void {
    const { inode, kind, linkCount, parent } = file;
    if (parent === undefined || (linkCount === 0 && !isPast)) return;
    if (kind === "directory") {
      const children = this.#childrenOf.get(parent.inode);
      if (children === undefined) this.#childrenOf.set(parent.inode, [inode]);
      else children.push(inode);
    }
    if (!isPast) this.#add(parent.inode, kind === "directory" ? ONE_INODE : usageOfFile(file));
  }

  *seeHistory(tx: Reader, { key, value }: KvEntry): Program<void> {
    const { directory, inode } = decodeHistory(key, value);
    const olderBytes = inode === undefined ? 0 : ((yield* readContent(tx, inode))?.sizeBytes ?? 0);
    this.#add(directory, { ...NOTHING_USED, olderBytes });
  }

  /** Where the rows lie, and what is to be done with each. */
  readonly spaces = [
    [usageSpace, seeing(({ key, value }) => this.#rows.set(inodeOfKey(key), decodeUsage(value)))],
    [waitingSpace, seeing(({ key }) => this.#waiting.add(inodeOfKey(key)))],
    [quotaSpace, seeing(({ key, value }) => this.#quotas.set(inodeOfKey(key), decodeQuota(value)))],
  ] as const;

  #add(directory: Inode, usage: Usage): void {
    this.#own.set(directory, sum(this.#own.get(directory) ?? NOTHING_USED, usage));
  }

  *finish(tx: Reader, fault: Fault): Program<void> {
    const directories = new Set([...this.#own.keys(), ...this.#childrenOf.keys(), ...this.#rows.keys()]);
    for (const inode of directories) this.#checkRow(inode, fault);
    for (const inode of this.#waiting)
      if (this.#rows.get(inode)?.waits !== true) fault(`Directory ${inode} is to tell its usage, and does not say so.`);
    if ((yield* countQuotas(tx)) !== this.#quotas.size)
      fault(`There are ${this.#quotas.size} quotas, and the catalog says otherwise.`);
    for (const [inode, { used }] of this.#quotas)
      if (!isSameUsage(used, this.#below(inode)))
        fault(`The quota of directory ${inode} counts ${shown(used)}, and there are ${shown(this.#below(inode))}.`);
  }

  #checkRow(inode: Inode, fault: Fault): void {
    const row = this.#rows.get(inode);
    const { known, told, waits } = row ?? { known: NOTHING_USED, told: NOTHING_USED, waits: false };
    let found = this.#own.get(inode) ?? NOTHING_USED;
    for (const child of this.#childrenOf.get(inode) ?? [])
      found = sum(found, this.#rows.get(child)?.told ?? NOTHING_USED);
    if (!isSameUsage(known, found))
      fault(`Directory ${inode} says that ${shown(known)} lie below it, and there are ${shown(found)}.`);
    if (inode !== ROOT_INODE && !isSameUsage(known, told) && !waits)
      fault(`Directory ${inode} has not told all of its usage, and does not say so.`);
    if (waits !== this.#waiting.has(inode)) fault(`Directory ${inode} waits to tell its usage, and nobody knows.`);
  }

  #below(directory: Inode): Usage {
    let usage = NOTHING_USED;
    const left = [directory];
    for (let inode = left.pop(); inode !== undefined; inode = left.pop()) {
      usage = sum(usage, this.#own.get(inode) ?? NOTHING_USED);
      left.push(...(this.#childrenOf.get(inode) ?? []));
    }
    return usage;
  }
}

function seeing(see: (row: KvEntry) => unknown): (tx: Reader, row: KvEntry) => Program<void> {
  // oxlint-disable-next-line eslint/require-yield -- The row is all that it needs.
  return function* (_tx, row) {
    see(row);
  };
}

function shown({ sizeBytes, inodes, olderBytes }: Usage): string {
  return `${inodes} inodes with ${sizeBytes} bytes and ${olderBytes} of older versions`;
}
