import type { Inode } from "../core/ids.ts";
import type { LockDesk } from "./lock-desk.ts";
import type { LocalSession } from "./local-session.ts";
import type { Office } from "./office.ts";
import { Term, termIsOver } from "./term.ts";

/** One term after the other: when this coordinator has lost its place it takes a new one, and sessions come back to it. */
export class Terms {
  readonly #office: Office;
  readonly #desk: LockDesk;
  #term: Term | undefined;
  #beginning: Promise<Term> | undefined;
  #isClosed = false;

  constructor(office: Office, desk: LockDesk) {
    this.#office = office;
    this.#desk = desk;
  }

  /** The present one, which may be over already. */
  get serving(): Term {
    if (this.#term === undefined) throw termIsOver();
    return this.#term;
  }

  get isIdle(): boolean {
    return this.#term?.isAlone === true;
  }

  /** The present one, or the next when that is over. */
  async get(): Promise<Term> {
    if (this.#isClosed) throw termIsOver();
    if (this.#term?.isLost === false) return this.#term;
    this.#beginning ??= this.#begin();
    try {
      this.#term = await this.#beginning;
    } finally {
      this.#beginning = undefined;
    }
    return this.#term;
  }

  async #begin(): Promise<Term> {
    const desk = this.#desk;
    return await Term.begin(this.#office, {
      onLost: (term, reason) => {
        if (!this.#isClosed) this.#office.log.warn("sessions_term_lost", { coordinator: term.id, reason });
        desk.abandon(termIsOver());
        // What it does not give back ends with its time.
        term.lease.release().catch(() => undefined);
      },
      onTurn: ({ key, turn }) => desk.onTurn(key, turn),
      onSessionGone: (session, isElsewhere) => desk.onSessionGone(session, isElsewhere),
      onRecallHeard: (recall) => this.#revokeInTime(recall),
    });
  }

  /** Who knows that his write lease is wanted, and has not given it back in time, has it no longer: neither does he trust it. */
  #revokeInTime(recall: { readonly inode: Inode; readonly epoch: number; readonly session: LocalSession }): void {
    const { inode, epoch, session } = recall;
    this.#office.clock.timer(this.#office.config.recallMs, () => {
      const lease = this.#term?.mirror.writeLeases.get(inode);
      if (lease?.epoch !== epoch) return;
      this.#office.log.info("write_lease_revoked", { session: session.id, inode });
      this.#desk
        .revoke({ inode, kind: "lease" }, { session: session.id, epoch })
        // The session's own end takes it away, if nothing else does.
        .catch((error: unknown) => this.#office.log.warn("write_lease_revoke_failed", { inode, error: String(error) }));
    });
  }

  open(): void {
    this.#isClosed = false;
  }

  close(): void {
    this.#isClosed = true;
  }

  async stop(): Promise<void> {
    await this.#beginning?.catch(() => undefined);
    await this.#term?.stop();
  }
}
