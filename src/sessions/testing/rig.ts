import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createFakeClock, type FakeClock, settle } from "../../core/testing/fake-clock.ts";
import { createMemoryKv, type Kv } from "../../kv/index.ts";
import { initialize, posix } from "../../namespace/index.ts";
import {
  coherentKv,
  createSessions,
  type OpenedSession,
  type Sessions,
  type SessionEvent,
  type SessionsConfig,
} from "../index.ts";

/** Coordinators that serve sessions over one catalog in memory, whose time a test moves. */

export const CONFIG: SessionsConfig = {
  identity: "test",
  ttlMs: 30_000,
  leaseMs: 12_000,
  recallMs: 5_000,
  isShared: true,
  maxSessions: 2_000,
  maxCovered: 10_000,
  maxLocks: 100,
};

export interface TestSession extends OpenedSession {
  readonly events: SessionEvent[];
  readonly sessions: Sessions;
  /** Acknowledges all that it was told. */
  acknowledge(): void;
  /** Covers what is in the directory. */
  cover(under: Inode, inodes?: readonly Inode[]): Promise<readonly Inode[]>;
}

export class SessionsRig {
  readonly clock: FakeClock = createFakeClock();
  readonly kv: Kv = createMemoryKv({ clock: this.clock });
  readonly #config: SessionsConfig;
  #seed = 0;
  #inode = 100;
  #version = 0;

  constructor(config: Partial<SessionsConfig> = {}) {
    this.#config = { ...CONFIG, ...config };
  }

  /** With its root. */
  async begin(): Promise<this> {
    await this.kv.transact((tx) => initialize(tx, 0));
    return this;
  }

  async coordinator(config: Partial<SessionsConfig> = {}): Promise<Sessions> {
    const { clock, kv } = this;
    const sessions = createSessions({
      kv,
      clock,
      random: seededRandom(++this.#seed),
      log: silentLogger,
      metrics: noMetrics,
      config: { ...this.#config, ...config },
    });
    await sessions.start();
    return sessions;
  }

  /** `isDeaf`: it acknowledges nothing by itself. */
  async session(sessions: Sessions, { isDeaf = false } = {}): Promise<TestSession> {
    const opened = await sessions.open({ host: "host" });
    return this.attach(sessions, opened, { isDeaf });
  }

  attach(sessions: Sessions, opened: OpenedSession, { isDeaf = false } = {}): TestSession {
    const events: SessionEvent[] = [];
    const acknowledge = (): void => sessions.acknowledge(opened, events.at(-1)?.revision ?? 0);
    sessions.attach(opened, {
      push(event) {
        events.push(event);
        if (!isDeaf) acknowledge();
      },
    });
    const cover = async (under: Inode, inodes: readonly Inode[] = []): Promise<readonly Inode[]> =>
      await sessions.cover({ ...opened, under, inodes });
    return { ...opened, events, sessions, acknowledge, cover };
  }

  async make(
    name: string,
    { parent = ROOT_INODE, kind = "file" }: { readonly parent?: Inode; readonly kind?: "file" | "directory" } = {},
  ): Promise<Inode> {
    const request = { parent, name, mode: 0o777, uid: 0, gid: 0, now: momentOf(0) };
    const nextInode = (): Inode => ++this.#inode as Inode;
    const made = await this.kv.transact((tx) =>
      kind === "directory"
        ? posix.mkdir(tx, { ...request, nextInode })
        : posix.mknod(tx, { ...request, kind, nextInode }),
    );
    return made.inode;
  }

  /** A change of what is told of it, through this coordinator. */
  async change(sessions: Sessions, inode: Inode): Promise<void> {
    const uid = ++this.#version;
    await coherentKv(this.kv, sessions).transact((tx) => posix.setattr(tx, { inode, uid, now: momentOf(uid) }));
  }
}

/** Whether it has come to its end, once all has happened that waits for no time. */
export async function isDone(work: Promise<unknown>): Promise<boolean> {
  let done = false;
  const end = (): void => {
    done = true;
  };
  work.then(end, end);
  await settle();
  return done;
}
