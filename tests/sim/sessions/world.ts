import type { Consistency } from "../../../src/core/consistency.ts";
import { isGfsError } from "../../../src/core/errors.ts";
import { type Inode, ROOT_INODE } from "../../../src/core/ids.ts";
import { momentOf } from "../../../src/core/moment.ts";
import { type Random, seededRandom } from "../../../src/core/ports/random.ts";
import { createMemoryKv, type Kv, type Program, type Reader, type Transaction } from "../../../src/kv/index.ts";
import { initialize, posix } from "../../../src/namespace/index.ts";
import { requireWriteLease } from "../../../src/sessions/index.ts";
import { Client, type OwnLock } from "./client.ts";
import { Node } from "./node.ts";
import { Time } from "./time.ts";

/** Coordinators over one catalog, clients that cache, and what must hold at every moment, whoever dies, stands still, or cannot be reached. */

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  /** Clocks run apart by as much as this. */
  readonly drift: number;
}

type Values = { readonly written: Map<number, number>; committed: number; answered: number };

const MODES: readonly Consistency[] = ["strict", "close-to-open", "eventual"];
const BYTES = 40;

export class World {
  readonly time = new Time();
  readonly random: Random;
  readonly #options: WorldOptions;
  readonly #kv: Kv;
  #nodes: Node[] = [];
  #clients: Client[] = [];
  /** One directory for each mode, with files and names in it; and one whose files are written by lease. */
  readonly #directories = new Map<Consistency, Inode>();
  readonly #files = new Map<Consistency, Inode[]>();
  #leased: Inode[] = [];
  readonly #epochs = new Map<Inode, number[]>();
  readonly #values = new Map<string, Values>();
  readonly #faults: string[] = [];
  #value = 0;
  readonly #pending = new Set<string>();
  #made = 0;
  readonly counts: Record<string, number> = {};

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
    this.#kv = createMemoryKv({ clock: this.time.clock({ rate: 1 }) });
  }

  below(count: number): number {
    return Math.floor(this.random.fraction() * count);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #rate(): number {
    return 1 + (this.random.fraction() * 2 - 1) * this.#options.drift;
  }

  async start(): Promise<this> {
    await this.#kv.transact((tx) => initialize(tx, 0));
    let inode = 100;
    const nextInode = (): Inode => ++inode as Inode;
    const make = async (parent: Inode, name: string, kind: "directory" | "file"): Promise<Inode> => {
      const request = { parent, name, mode: 0o777, uid: 0, gid: 0, now: momentOf(0), nextInode };
      const made = await this.#kv.transact((tx) =>
        kind === "directory" ? posix.mkdir(tx, request) : posix.mknod(tx, { ...request, kind }),
      );
      return made.inode;
    };
    for (const mode of MODES) {
      const directory = await make(ROOT_INODE, mode, "directory");
      this.#directories.set(mode, directory);
      this.#files.set(mode, [await make(directory, "a", "file"), await make(directory, "b", "file")]);
    }
    const leased = await make(ROOT_INODE, "leased", "directory");
    this.#leased = [await make(leased, "a", "file"), await make(leased, "b", "file")];
    for (let index = 0; index < this.#options.nodes; index++) await this.#addNode();
    for (let index = 0; index < this.#options.clients; index++) this.#addClient();
    return this;
  }

  async #addNode(): Promise<void> {
    this.#made += 1;
    const node = new Node({
      time: this.time,
      kv: this.#kv,
      seed: this.#options.seed * 1_000 + this.#made,
      name: `node-${this.#made}`,
      rate: this.#rate(),
      isShared: this.#options.nodes > 1,
    });
    this.#nodes.push(node);
    // Its answers need time to pass.
    node.sessions.start().catch((error: unknown) => this.#faults.push(`A coordinator did not start: ${String(error)}`));
  }

  #addClient(): void {
    this.#made += 1;
    const client = new Client({
      name: `client-${this.#made}`,
      time: this.time,
      random: seededRandom(this.#options.seed * 7_919 + this.#made),
      rate: this.#rate(),
      pick: () => this.pick(this.#nodes),
    });
    this.#clients.push(client);
    client.start();
  }

  #valuesOf(name: string): Values {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const values: Values = { written: new Map([[0, 0]]), committed: 0, answered: 0 };
    this.#values.set(name, values);
    return values;
  }

  /** Something that is under way, and must come to an end. */
  #do(what: string, work: Promise<unknown>): void {
    const name = `${what} of ${Math.round(this.time.nowMs)} ms`;
    this.#pending.add(name);
    this.count(what);
    work.then(
      () => void this.#pending.delete(name),
      (error: unknown) => {
        this.#pending.delete(name);
        if (
          isGfsError(
            error,
            "Unavailable",
            "StaleEpoch",
            "Conflict",
            "Deadlock",
            "Canceled",
            "NotFound",
            "AlreadyExists",
          )
        )
          this.count(`${what}: ${error.code}`);
        else this.#faults.push(`${what}: ${String((error as Error).stack)}`);
      },
    );
  }

  /** One step of somebody's. */
  step(): void {
    const chance = this.below(100);
    const client = this.pick(this.#clients);
    if (chance < 30) this.#do("write", this.#write());
    else if (chance < 55) this.#do("read", this.#read(client));
    else if (chance < 70) this.#do("lock", this.#lock(client));
    else if (chance < 80) this.#do("lease", this.#lease(client));
    else if (chance < 90) this.#do("leased write", this.#leasedWrite(client));
    else if (chance < 93) client.cut();
    else if (chance < 96) this.#pause(client);
    else if (chance < 97) this.#replace(client);
    else if (chance < 99) this.count("nothing");
    else this.#crash();
    this.check();
  }

  /** The register of a file is its owner, that of a name whether it is there. */
  async #write(): Promise<void> {
    const mode = this.pick(MODES);
    const parent = this.#directories.get(mode) as Inode;
    const node = this.pick(this.#nodes);
    const value = ++this.#value;
    const isName = this.below(3) === 0;
    const file = this.pick(this.#files.get(mode) as Inode[]);
    const name = isName ? "n" : "";
    const values = this.#valuesOf(isName ? `${parent} ${name}` : String(file));
    let seen = 0;
    const program = function* (tx: Transaction): Program<void> {
      const now = momentOf(value);
      if (!isName) return void (yield* posix.setattr(tx, { inode: file, uid: value, now }));
      const there = yield* posix.lookup(tx, { parent, name });
      seen = there === undefined ? 10_000 + value : 0;
      if (there !== undefined)
        return void (yield* posix.unlink(tx, { parent, name, now, heldBy: [], tombstoneVersionId: TOMBSTONE }));
      const nextInode = (): Inode => seen as Inode;
      yield* posix.mknod(tx, { parent, name, mode: 0o600, uid: 0, gid: 0, kind: "file", now, nextInode });
    };
    const order = { at: 0 };
    const committed = (): void => {
      values.committed += 1;
      order.at = values.committed;
      values.written.set(isName ? seen : value, values.committed);
    };
    await node.ask(async () => {
      const kv = { strict: node.strict, "close-to-open": node.coherent, eventual: node.kv }[mode];
      await kv.transact(program, { committed });
      values.answered = Math.max(values.answered, order.at);
    });
  }

  async #read(client: Client): Promise<void> {
    const mode = this.pick(MODES);
    const parent = this.#directories.get(mode) as Inode;
    const files = this.#files.get(mode) as Inode[];
    const byItself = this.below(3) === 0;
    const answer = await client.ask(async (node, session) => {
      const covered = await node.sessions.cover({ ...session, inodes: files, ...(byItself ? {} : { under: parent }) });
      const revision = await this.#kv.revision();
      const seen = await node.kv.view(function* (tx: Reader): Program<{ uids: number[]; name: number }> {
        const uids: number[] = [];
        for (const inode of files) uids.push((yield* posix.getattr(tx, inode)).uid);
        return { uids, name: (yield* posix.lookup(tx, { parent, name: "n" }))?.inode ?? 0 };
      });
      return { covered, revision, ...seen };
    });
    if (answer === undefined) return;
    const { covered, revision, uids, name } = answer;
    client.holder.learn({
      covered,
      revision,
      names: [{ parent, name: "n", value: name }],
      inodes: files.map((inode, index) => ({
        inode,
        value: uids[index] as number,
        ...(byItself ? {} : { under: parent }),
      })),
    });
  }

  /** A process, or an open file, takes one lock after the other, and lets go of all of them. */
  async #lock(client: Client): Promise<void> {
    const kind = this.pick(["flock", "posix"] as const);
    const owner = `${kind}-${++this.#value}`;
    const files =
      kind === "flock" ? [this.pick(this.#leased)] : this.#leased.toSorted(() => this.random.fraction() - 0.5);
    const before = client.session;
    try {
      for (const inode of files) {
        const [one, other] = [this.below(BYTES), this.below(BYTES)];
        const span =
          kind === "flock" ? { start: 0, end: BYTES } : { start: Math.min(one, other), end: Math.max(one, other) + 1 };
        const lock = { inode, kind, owner, mode: this.pick(["shared", "exclusive"] as const), ...span };
        const giveUp = new AbortController();
        if (this.below(4) === 0) this.time.at(this.below(2_000), () => giveUp.abort());
        const wait = this.below(4) > 0;
        const isHad = await client.ask(async (node, session, hungUp) => {
          const signal = AbortSignal.any([hungUp, giveUp.signal]);
          await node.sessions.lock({ ...session, ...lock }, { wait, signal });
          return true;
        });
        if (isHad !== true || client.session !== before) return;
        client.locks.push(lock);
        this.count("locked");
        this.check();
        await this.time.sleep(this.below(500));
      }
    } finally {
      await this.#unlock(client, { owner, kind }, files);
    }
  }

  async #unlock(client: Client, by: Pick<OwnLock, "owner" | "kind">, files: readonly Inode[]): Promise<void> {
    client.locks = client.locks.filter(({ owner }) => owner !== by.owner);
    const before = client.session;
    const isThere = (): boolean => !client.isDead && before !== undefined && client.session === before;
    for (const inode of files)
      while (isThere()) {
        const done = await client.ask(async (node, session) => {
          await node.sessions.unlockAll({ ...session, ...by, inode });
          return true;
        });
        if (done === true) break;
        await this.time.sleep(500);
      }
  }

  async #lease(client: Client): Promise<void> {
    const inode = this.pick(this.#leased);
    if (client.holder.writing(inode) !== undefined || client.asking.has(inode)) return;
    client.asking.add(inode);
    try {
      await this.#takeLease(client, inode);
    } finally {
      client.asking.delete(inode);
    }
  }

  async #takeLease(client: Client, inode: Inode): Promise<void> {
    const before = client.session;
    const giveUp = new AbortController();
    if (this.below(4) === 0) this.time.at(this.below(2_000), () => giveUp.abort());
    const lease = await client.ask(
      async (node, session, hungUp) =>
        await node.sessions.takeWriteLease(session, inode, {
          wait: true,
          signal: AbortSignal.any([hungUp, giveUp.signal]),
        }),
    );
    if (lease === undefined || client.session !== before) return;
    client.holder.leased(inode, lease.epoch);
    this.#epochs.set(inode, [...(this.#epochs.get(inode) ?? []), lease.epoch]);
    this.count("leased");
    this.check();
    await this.time.sleep(this.below(1_500));
    if (client.holder.writing(inode) === lease.epoch && this.below(2) === 0) await client.giveBack(inode);
  }

  async #leasedWrite(client: Client): Promise<void> {
    const inode = this.pick(this.#leased);
    // Some write by a lease of before, whatever they were told.
    const epoch = this.below(3) === 0 ? this.pick(this.#epochs.get(inode) ?? []) : client.holder.writing(inode);
    if (epoch === undefined) return;
    const value = ++this.#value;
    const newest = `epoch ${inode}`;
    await client.ask(async (node) => {
      await node.kv.transact(
        function* (tx): Program<void> {
          yield* requireWriteLease(tx, { inode, epoch });
          yield* posix.setattr(tx, { inode, uid: value, now: momentOf(value) });
        },
        {
          committed: () => {
            const seen = this.#valuesOf(newest);
            if (epoch < seen.committed)
              this.#faults.push(`A write by lease ${epoch} came after one by ${seen.committed}.`);
            seen.committed = epoch;
          },
        },
      );
    });
    this.count("written by lease");
  }

  #pause(client: Client): void {
    if (client.isPaused) return;
    client.isPaused = true;
    this.time.at(this.below(6_000), () => {
      // What it has it looks at before it hears anything.
      this.#checkClient(client);
      client.resume();
    });
  }

  #replace(client: Client): void {
    client.isDead = true;
    this.#clients = this.#clients.filter((each) => each !== client);
    this.#addClient();
  }

  #crash(): void {
    const node = this.pick(this.#nodes);
    if (this.#nodes.length < this.#options.nodes) return;
    this.count("crash");
    this.#nodes = this.#nodes.filter((each) => each !== node);
    node.die();
    if (this.#nodes.length === 0) void this.#addNode();
    else this.time.at(this.below(5_000), () => void this.#addNode());
  }

  /** What must hold now. */
  check(): void {
    for (const client of this.#clients) if (!client.isPaused) this.#checkClient(client);
    this.#checkLocks();
  }

  #checkClient({ name, holder }: Client): void {
    for (const mode of MODES) {
      const parent = this.#directories.get(mode) as Inode;
      const seen: [string, number | undefined][] = [[`${parent} n`, holder.name(parent, "n")]];
      for (const inode of this.#files.get(mode) as Inode[]) seen.push([String(inode), holder.inode(inode)]);
      for (const [what, value] of seen) {
        if (value === undefined) continue;
        const { written, committed, answered } = this.#valuesOf(what);
        const at = written.get(value) ?? -1;
        const least = mode === "strict" ? committed : mode === "eventual" ? 0 : answered;
        this.count(`trusted ${mode}`);
        if (at < committed) this.count(`older ${mode}`);
        if (at < least)
          this.#faults.push(
            `${mode}: ${name} trusts ${what} = ${value}, change ${at}, when ${least} was ${mode === "strict" ? "made" : "answered"}.`,
          );
      }
    }
  }

  #checkLocks(): void {
    const alive = this.#clients.filter((client) => client.holder.isTrusted);
    const held = alive.flatMap((client) => client.locks.map((lock) => ({ client, lock })));
    for (const [index, one] of held.entries())
      for (const other of held.slice(index + 1)) {
        if (one.client === other.client && one.lock.owner === other.lock.owner) continue;
        if (one.lock.inode !== other.lock.inode || one.lock.kind !== other.lock.kind) continue;
        if (!meets(one.lock, other.lock)) continue;
        if (one.lock.mode === "exclusive" || other.lock.mode === "exclusive")
          this.#faults.push(
            `${one.client.name} and ${other.client.name} have locked the same: ${JSON.stringify([one.lock, other.lock])}.`,
          );
      }
    for (const inode of this.#leased) {
      const writers = alive.filter((client) => client.holder.writing(inode) !== undefined);
      if (writers.length > 1) this.#faults.push(`${writers.map(({ name }) => name).join(" and ")} may both write.`);
    }
  }

  /** Nothing more is begun or breaks; all that was begun comes to an end. */
  async end(): Promise<void> {
    this.time.at(0, () => undefined);
    for (const client of this.#clients) client.resume();
    await this.time.pass(60_000);
    if (this.#pending.size > 0) this.#faults.push(`For ever waits: ${[...this.#pending].join(", ")}.`);
    for (const client of this.#clients) {
      if (client.session === undefined || !client.holder.isTrusted) this.#faults.push(`${client.name} has no session.`);
      this.#checkClient(client);
      for (const [what, value] of this.#trustedBy(client)) {
        const { written, committed } = this.#valuesOf(what);
        if (written.get(value) !== committed) this.#faults.push(`${client.name} never heard of the newest ${what}.`);
      }
    }
    for (const client of this.#clients) client.isDead = true;
    await Promise.all([this.time.pass(5_000), ...this.#nodes.map(async (node) => await node.sessions.stop())]);
  }

  #trustedBy({ holder }: Client): [string, number][] {
    return MODES.flatMap((mode) => {
      const parent = this.#directories.get(mode) as Inode;
      const seen: [string, number | undefined][] = [[`${parent} n`, holder.name(parent, "n")]];
      for (const inode of this.#files.get(mode) as Inode[]) seen.push([String(inode), holder.inode(inode)]);
      return seen.flatMap(([what, value]): [string, number][] => (value === undefined ? [] : [[what, value]]));
    });
  }

  get faults(): readonly string[] {
    return this.#faults;
  }
}

const TOMBSTONE = "00000000000000000000000000" as Parameters<typeof posix.unlink>[1]["tombstoneVersionId"];

function meets(one: OwnLock, other: OwnLock): boolean {
  return one.start < other.end && other.start < one.end;
}
