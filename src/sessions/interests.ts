import type { Inode, SessionId } from "../core/ids.ts";
import type { KvLease } from "../kv/index.ts";
import { prefixRange, type Program, type Transaction } from "../kv/index.ts";
import type { Office } from "./office.ts";
import {
  acknowledgedKey,
  type CoordinatorId,
  interestKey,
  NOTHING,
  parse,
  withholdingsOf,
  type WriteLeaseRow,
  writeLeasesOf,
} from "./rows.ts";

/** What this coordinator's sessions may cover, as the other ones are told it, and up to where they know of the commits that touch it. */

const AT_ONCE = 40;

export class Interests {
  readonly #office: Office;
  readonly #id: CoordinatorId;
  readonly #lease: KvLease;
  readonly #told = new Set<Inode>();
  readonly #unused = new Set<Inode>();
  /** Its transactions one after the other, so that what is told last is what was meant last. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(office: Office, { id, lease }: { readonly id: CoordinatorId; readonly lease: KvLease }) {
    this.#office = office;
    this.#id = id;
    this.#lease = lease;
  }

  has(inode: Inode): boolean {
    return this.#told.has(inode);
  }

  /** Of these, those that the others know of. What is withheld just now, or another session's to write, is not among them. */
  async claim(inodes: readonly Inode[], session: SessionId): Promise<Inode[]> {
    for (const inode of inodes) this.#unused.delete(inode);
    const unknown = inodes.filter((inode) => !this.#told.has(inode));
    if (unknown.length === 0) return [...inodes];
    return await this.#inTurn(async () => {
      for (let first = 0; first < unknown.length; first += AT_ONCE) {
        const some = unknown.slice(first, first + AT_ONCE);
        const free = await this.#office.kv.transact((tx) => this.#claim(tx, some, session), { durability: "visible" });
        for (const inode of free) this.#told.add(inode);
      }
      return inodes.filter((inode) => this.#told.has(inode));
    });
  }

  *#claim(tx: Transaction, inodes: readonly Inode[], session: SessionId): Program<Inode[]> {
    tx.requireLease(this.#lease.id);
    const free: Inode[] = [];
    for (const inode of inodes) {
      const withheld = yield* tx.range({ ...prefixRange(withholdingsOf(inode)), limit: 1 });
      const leases = yield* tx.range({ ...prefixRange(writeLeasesOf(inode)), limit: 1 });
      const isOthers = leases.some(({ value }) => (parse(value) as WriteLeaseRow).session !== session);
      if (withheld.length > 0 || isOthers) continue;
      tx.put(interestKey(inode, this.#id), NOTHING);
      free.push(inode);
    }
    return free;
  }

  /** Nobody covers them any more; the others are told in time. */
  release(inodes: readonly Inode[]): void {
    for (const inode of inodes) if (this.#told.has(inode)) this.#unused.add(inode);
  }

  async tellUnused(isCovered: (inode: Inode) => boolean): Promise<void> {
    if (this.#unused.size === 0) return;
    await this.#inTurn(async () => {
      const some = [...this.#unused].filter((inode) => !isCovered(inode)).slice(0, AT_ONCE);
      for (const inode of some) {
        this.#unused.delete(inode);
        this.#told.delete(inode);
      }
      const id = this.#id;
      await this.#office.kv.transact(
        // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
        function* (tx): Program<void> {
          for (const inode of some) tx.delete(interestKey(inode, id));
        },
        { durability: "visible" },
      );
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    return await mine;
  }

  async tellAcknowledged(revision: number): Promise<void> {
    const [id, lease] = [this.#id, this.#lease.id];
    await this.#office.kv.transact(
      // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
      function* (tx): Program<void> {
        tx.put(acknowledgedKey(id), Buffer.from(String(revision)), { lease });
      },
      { durability: "visible" },
    );
  }
}
