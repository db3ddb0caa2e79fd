import type { FilePath, Inode, VersionId } from "../../core/ids.ts";
import { type Moment, momentOf } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { type ObjectPlace, pathOf, type posix } from "../../namespace/index.ts";
import { enqueueRemoval } from "../copies/removal.ts";
import type { Kit, ProgramKit } from "../kit.ts";

/** What every change of the tree is made with, and what it leaves to be done. */

export interface Maker {
  readonly now: Moment;
  readonly nextInode: () => Inode;
  readonly tombstoneVersionId: VersionId;
}

export type Changing<T> = (tx: Transaction, maker: Maker, kit: ProgramKit) => Program<T>;

/** What a program gets besides what was asked for is made before it: it may run again. */
export async function change<T>(kit: Kit, program: Changing<T>): Promise<T> {
  const now = momentOf(kit.clock.nowMs());
  const tombstoneVersionId = kit.nextVersionId();
  return await kit.inodes.transact((tx, nextInode) => program(tx, { now, nextInode, tombstoneVersionId }, kit));
}

export interface Left {
  /** Under which jobs speak of it. */
  readonly path: FilePath;
  readonly inode: Inode;
  readonly versionId: VersionId;
  readonly orphans: readonly ObjectPlace[];
  readonly now: Moment;
}

/** Objects that nobody needs any more. */
export function* removeLeft(tx: Transaction, kit: ProgramKit, { orphans, now, ...about }: Left): Program<void> {
  for (const place of orphans) yield* enqueueRemoval(tx, kit, { ...about, place, nowMs: now.ms });
}

export function* pathAt(tx: Reader, { parent, name }: posix.Child): Program<FilePath> {
  const above = yield* pathOf(tx, parent);
  return (above === undefined || above === "" ? name : `${above}/${name}`) as FilePath;
}
