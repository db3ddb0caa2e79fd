import type { Inode } from "../core/ids.ts";
import type { Touch } from "../namespace/index.ts";
import type { LocalSession } from "./local-session.ts";

/** Which of the sessions here cover an inode. Most inodes are covered by one, for which no set is made. */
export class Coverage {
  readonly #holders = new Map<Inode, LocalSession | Set<LocalSession>>();

  get size(): number {
    return this.#holders.size;
  }

  add(session: LocalSession, inode: Inode): void {
    if (session.covered.has(inode)) return;
    session.covered.add(inode);
    const held = this.#holders.get(inode);
    if (held === undefined) this.#holders.set(inode, session);
    else if (held instanceof Set) held.add(session);
    else this.#holders.set(inode, new Set([held, session]));
  }

  /** True when nobody covers it any more. */
  drop(session: LocalSession, inode: Inode): boolean {
    if (!session.covered.delete(inode)) return false;
    const held = this.#holders.get(inode);
    if (held instanceof Set) held.delete(session);
    if (held !== session && !(held instanceof Set && held.size === 0)) return false;
    return this.#holders.delete(inode);
  }

  /** The inodes that nobody covers any more. */
  dropAll(session: LocalSession): Inode[] {
    return [...session.covered].filter((inode) => this.drop(session, inode));
  }

  isCovered(inode: Inode): boolean {
    return this.#holders.has(inode);
  }

  of(inode: Inode): Iterable<LocalSession> {
    const held = this.#holders.get(inode);
    if (held === undefined) return [];
    return held instanceof Set ? held : [held];
  }

  /** What each session that covers any of it is told. */
  toldOf(touches: readonly Touch[]): Map<LocalSession, Touch[]> {
    const told = new Map<LocalSession, Touch[]>();
    for (const touch of touches)
      for (const inode of coveringInodes(touch))
        for (const session of this.of(inode)) {
          const known = told.get(session);
          if (known === undefined) told.set(session, [touch]);
          else if (known.at(-1) !== touch) known.push(touch);
        }
    return told;
  }
}

/** Through which inodes it may be covered. */
export function coveringInodes(touch: Touch): Inode[] {
  if ("name" in touch) return [touch.parent];
  return touch.parent === undefined ? [touch.inode] : [touch.inode, touch.parent];
}
