import type { Inode, SessionId } from "../core/ids.ts";
import { keyAfter, type Kv, type KvEntry, prefixRange, type RangeQuery, type WatchEvent } from "../kv/index.ts";
import type { Touch } from "../namespace/index.ts";
import {
  type CoordinatorId,
  type CoordinatorRow,
  type Kind,
  interestIn,
  mirroredSpaces,
  nameIn,
  parse,
  type SessionRow,
  spaceOf,
  type WaitRow,
  waitIn,
  withholdingIn,
  type WithholdingRow,
  writeLeaseIn,
  type WriteLeaseRow,
} from "./rows.ts";

/** What the rows of all coordinators say, as of the newest commit that was looked at. */

export interface Peer {
  readonly id: CoordinatorId;
  row?: CoordinatorRow;
  isAlive: boolean;
  /** Inodes that its sessions may cover. */
  readonly interests: Set<Inode>;
  readonly sessions: Set<SessionId>;
  acknowledged: number;
}

export interface WriteLease extends WriteLeaseRow {
  readonly epoch: number;
}

/** What a row tells that somebody has to act upon. */
export type News =
  | { readonly kind: "session"; readonly session: SessionId; readonly row?: SessionRow; readonly before?: SessionRow }
  | { readonly kind: "peer"; readonly peer: Peer }
  | { readonly kind: "withheld"; readonly touches: readonly Touch[]; readonly inode: Inode }
  | { readonly kind: "lease"; readonly inode: Inode; readonly lease: WriteLease }
  | { readonly kind: "released"; readonly inode: Inode; readonly lease?: WriteLease }
  | { readonly kind: "waits"; readonly inode: Inode; readonly locks: Kind; readonly place: number }
  | { readonly kind: "turn"; readonly inode: Inode; readonly locks: Kind; readonly place: number };

export class Mirror {
  readonly peers = new Map<CoordinatorId, Peer>();
  readonly sessions = new Map<SessionId, SessionRow>();
  readonly writeLeases = new Map<Inode, WriteLease>();
  /** Who waits for a write lease to end. */
  readonly leaseWaits = new Map<Inode, Map<number, WaitRow>>();
  readonly #interested = new Map<Inode, Set<Peer>>();
  readonly #withheld = new Map<Inode, Map<string, WithholdingRow>>();

  /** Nobody may answer from what he has read of it. */
  isWithheld(inode: Inode): boolean {
    return this.#withheld.has(inode);
  }

  /** Those who may have sessions that cover any of them. */
  interestedIn(inodes: Iterable<Inode>): Set<Peer> {
    const found = new Set<Peer>();
    for (const inode of inodes) for (const peer of this.#interested.get(inode) ?? []) found.add(peer);
    for (const peer of this.peers.values()) if (peer.row?.tellsInterests === false) found.add(peer);
    return found;
  }

  apply({ key, value }: WatchEvent): News | undefined {
    switch (spaceOf(key)) {
      case "es":
        return this.#session(nameIn(key) as SessionId, value === undefined ? undefined : (parse(value) as SessionRow));
      case "ec":
        return this.#coordinator(nameIn(key), value === undefined ? undefined : (parse(value) as CoordinatorRow));
      case "el": {
        const peer = this.#peer(nameIn(key));
        peer.isAlive = value !== undefined;
        return { kind: "peer", peer };
      }
      case "ea": {
        const peer = this.#peer(nameIn(key));
        if (value !== undefined) peer.acknowledged = Number(Buffer.from(value).toString());
        return { kind: "peer", peer };
      }
      case "ei":
        this.#interest(...interestIn(key), value !== undefined);
        return undefined;
      case "er":
        return this.#withholding(
          ...withholdingIn(key),
          value === undefined ? undefined : (parse(value) as WithholdingRow),
        );
      case "ew":
        return this.#writeLease(
          ...writeLeaseIn(key),
          value === undefined ? undefined : (parse(value) as WriteLeaseRow),
        );
      case "en":
        return this.#wait(...waitIn(key), value === undefined ? undefined : (parse(value) as WaitRow));
      default:
        return undefined;
    }
  }

  #peer(id: CoordinatorId): Peer {
    const known = this.peers.get(id);
    if (known !== undefined) return known;
    const peer: Peer = { id, isAlive: false, interests: new Set(), sessions: new Set(), acknowledged: 0 };
    this.peers.set(id, peer);
    return peer;
  }

  /** Nothing is left of it. */
  forget(peer: Peer): void {
    this.peers.delete(peer.id);
    for (const inode of peer.interests) this.#interest(inode, peer.id, false);
  }

  #session(session: SessionId, row: SessionRow | undefined): News {
    const before = this.sessions.get(session);
    if (before !== undefined) this.peers.get(before.coordinator)?.sessions.delete(session);
    if (row === undefined) this.sessions.delete(session);
    else {
      this.sessions.set(session, row);
      this.#peer(row.coordinator).sessions.add(session);
    }
    return {
      kind: "session",
      session,
      ...(row === undefined ? {} : { row }),
      ...(before === undefined ? {} : { before }),
    };
  }

  #coordinator(id: CoordinatorId, row: CoordinatorRow | undefined): News | undefined {
    const peer = this.#peer(id);
    if (row === undefined) this.forget(peer);
    else peer.row = row;
    return { kind: "peer", peer };
  }

  #interest(inode: Inode, id: CoordinatorId, isThere: boolean): void {
    const peers = this.#interested.get(inode);
    if (isThere) {
      const peer = this.#peer(id);
      peer.interests.add(inode);
      if (peers === undefined) this.#interested.set(inode, new Set([peer]));
      else peers.add(peer);
      return;
    }
    for (const peer of peers ?? []) if (peer.id === id) peers?.delete(peer);
    if (peers?.size === 0) this.#interested.delete(inode);
    this.peers.get(id)?.interests.delete(inode);
  }

  #withholding(inode: Inode, by: string, row: WithholdingRow | undefined): News | undefined {
    const rows = this.#withheld.get(inode);
    if (row !== undefined) {
      if (rows === undefined) this.#withheld.set(inode, new Map([[by, row]]));
      else rows.set(by, row);
      return { kind: "withheld", inode, touches: row.touches };
    }
    if (rows?.delete(by) !== true || rows.size > 0) return undefined;
    this.#withheld.delete(inode);
    return { kind: "released", inode };
  }

  #writeLease(inode: Inode, epoch: number, row: WriteLeaseRow | undefined): News | undefined {
    const before = this.writeLeases.get(inode);
    if (row !== undefined) {
      const lease = { ...row, epoch };
      this.writeLeases.set(inode, lease);
      return { kind: "lease", inode, lease };
    }
    // One that was handed over in the same commit has a higher epoch.
    if (before === undefined || before.epoch !== epoch) return undefined;
    this.writeLeases.delete(inode);
    return { kind: "released", inode, lease: before };
  }

  #wait(inode: Inode, locks: Kind, place: number, row: WaitRow | undefined): News | undefined {
    if (row === undefined) {
      const waits = this.leaseWaits.get(inode);
      if (locks === "lease" && waits?.delete(place) === true && waits.size === 0) this.leaseWaits.delete(inode);
      return { kind: "turn", inode, locks, place };
    }
    if (locks !== "lease") return undefined;
    const waits = this.leaseWaits.get(inode) ?? new Map<number, WaitRow>();
    this.leaseWaits.set(inode, waits.set(place, row));
    return { kind: "waits", inode, locks, place };
  }
}

const PAGE = 1_000;

/** Resolves with the revision as of which it is what the rows say. */
export async function load(mirror: Mirror, kv: Kv): Promise<number> {
  const snapshot = await kv.snapshot();
  try {
    for (const space of mirroredSpaces) {
      const range = prefixRange(space);
      let start: Uint8Array | undefined = range.start;
      while (start !== undefined) {
        const query: RangeQuery = { start, end: range.end, limit: PAGE };
        const rows: KvEntry[] = await snapshot.view((tx) => tx.range(query));
        for (const row of rows) mirror.apply(row);
        const last = rows.at(-1);
        start = last === undefined || rows.length < PAGE ? undefined : keyAfter(last.key);
      }
    }
    return snapshot.revision;
  } finally {
    await snapshot.close();
  }
}
