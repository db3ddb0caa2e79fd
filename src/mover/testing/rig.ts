import { KeyedLock } from "../../core/async/keyed-lock.ts";
import type { FilePath, Inode, JobId, SiteName } from "../../core/ids.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createFakeClock, type FakeClock, settle } from "../../core/testing/fake-clock.ts";
import { createMemoryKv, type Kv, type Program } from "../../kv/index.ts";
import {
  commitVersion,
  type Copy,
  type FileRecord,
  type FileVersion,
  type ObjectPlace,
  findByInode,
  findFile,
  findOwner,
  initialize,
  removeFile,
  rename,
  setCopy,
} from "../../namespace/index.ts";
import { nextTestId, nextTestInode } from "../../namespace/testing/model.ts";
import { createMemoryStore, type Site, type SiteDirectory, type Store } from "../../stores/index.ts";
import { bytesAt, putBytes, type ScriptedStore, scriptedStore, sha256Of } from "../../stores/testing/scripted-store.ts";
import type { MoverConfig, MoverDeps, WriterView } from "../context.ts";
import { enqueueJob, markUnqueued } from "../jobs.ts";
import { createMover } from "../mover.ts";
import type { Mover } from "../service.ts";
import type { Job, JobKind, JobProgress, JobSpec } from "../types.ts";

/** A mover over memory, sites whose calls a test can script, and the few steps of a coordinator that make work for it. */

export const CONFIG: MoverConfig = {
  maxConcurrentTransfers: 8,
  transferChunkBytes: 1_000,
  maxQueuedJobs: 10_000,
  verify: "metadata",
  bandwidth: [],
};

export interface Written {
  readonly path: FilePath;
  readonly inode: Inode;
  readonly version: FileVersion;
}

export interface PutOptions {
  /** Where the bytes are from the beginning; absent: the first site. */
  readonly at?: readonly string[];
  /** Where they are to go; absent: all other sites. */
  readonly to?: readonly string[];
  /** As an adopted object whose site kept no checksum. */
  readonly withoutChecksum?: boolean;
}

/** What is undefined goes. */
type Change<T> = { readonly [Name in keyof T]?: T[Name] | undefined };

let jobs = 0;

function inFlightOf(versions: ReadonlySet<string>): WriterView["isInFlight"] {
  // oxlint-disable-next-line eslint/require-yield -- It knows them all.
  return function* (_tx, { versionId }) {
    return versions.has(versionId);
  };
}

export class MoverRig {
  readonly clock: FakeClock;
  readonly kv: Kv;
  readonly locks = new KeyedLock();
  readonly sites = new Map<string, Site>();
  readonly stores: Readonly<Record<string, ScriptedStore>>;
  readonly deps: MoverDeps;
  /** Where jobs met another object than was written there. */
  readonly settled: string[] = [];
  /** Versions whose objects are on their way into the catalog. */
  readonly inFlight = new Set<string>();
  readonly writer: WriterView = { tag: "TESTTEST", isInFlight: inFlightOf(this.inFlight) };
  config: MoverConfig;
  mover: Mover;
  /** Best first; absent: as they were made. */
  ranking: readonly string[] | undefined;

  constructor(
    names: readonly string[],
    config: Partial<MoverConfig> = {},
    wrap: (store: Store) => Store = (store) => store,
  ) {
    this.clock = createFakeClock();
    this.kv = createMemoryKv({ clock: this.clock });
    const stores: Record<string, ScriptedStore> = {};
    for (const name of names) {
      const store = scriptedStore(wrap(createMemoryStore({}, { clock: this.clock })));
      stores[name] = store;
      this.sites.set(name, { name: name as SiteName, role: "primary", store, foreign: "merge", label: name });
    }
    this.stores = stores;
    const directory: SiteDirectory = { find: (name) => this.sites.get(name), list: () => [...this.sites.values()] };
    this.deps = {
      kv: this.kv,
      sites: directory,
      rankSources: () => (this.ranking ?? [...this.sites.keys()]).flatMap((name) => this.sites.get(name) ?? []),
      settle: async (_ctx, { path, site }) => void this.settled.push(`${path} ${site.name}`),
      describeWrite: (path, version) => ({ metadata: { "globalfs-version": version.id, "globalfs-path": path } }),
      writer: this.writer,
      locks: this.locks,
      nextJobId: () => this.nextJobId(),
      clock: this.clock,
      random: seededRandom(1),
      log: silentLogger,
      metrics: noMetrics,
    };
    this.config = { ...CONFIG, ...config };
    this.mover = createMover(this.deps, this.config);
  }

  store(name: string): ScriptedStore {
    return this.stores[name] as ScriptedStore;
  }

  nextJobId(): JobId {
    jobs += 1;
    return `J${String(jobs).padStart(12, "0")}` as JobId;
  }

  /** The catalog is empty before this. */
  async start(): Promise<this> {
    const nowMs = this.clock.nowMs();
    await this.kv.transact((tx) => initialize(tx, nowMs));
    await this.mover.start();
    return this;
  }

  /** As after a crash: another mover over what is durable. */
  async restart(config: Partial<MoverConfig> = {}): Promise<void> {
    await this.mover.stop();
    this.config = { ...this.config, ...config };
    this.mover = createMover(this.deps, this.config);
    await this.mover.start();
  }

  /** What a write does: the bytes at `at`, then the version and a job for each of `to` in one transaction, under the path's lock. */
  async put(path: string, body: string | Uint8Array, options: PutOptions = {}): Promise<Written> {
    const names = [...this.sites.keys()];
    const at = options.at ?? names.slice(0, 1);
    const to = options.to ?? names.filter((name) => !at.includes(name));
    const bytes = Buffer.from(body as Uint8Array);
    const id = nextTestId();
    const key = path as FilePath;
    return await this.locks.run(path, async () => {
      const nowMs = this.clock.nowMs();
      const copies: Copy[] = [];
      for (const site of at) {
        const { landing, home } = await this.#landing(site, key, id);
        const info = await putBytes(this.store(site), landing, bytes, { "globalfs-version": id });
        copies.push({
          site: site as SiteName,
          key: landing,
          state: "present",
          etag: info.etag,
          changedMs: nowMs,
          ...home,
        });
      }
      for (const site of to) {
        copies.push({
          site: site as SiteName,
          key: await this.#objectKey(site, key, id),
          state: "pending",
          changedMs: nowMs,
        });
      }
      const version: FileVersion = {
        id,
        sizeBytes: bytes.length,
        etag: `e-${id}`,
        ...(options.withoutChecksum === true ? {} : { sha256: sha256Of(bytes) }),
        metadata: {},
        createdMs: nowMs,
        copies,
      };
      const pending = copies.filter(({ state }) => state === "pending");
      const landed = copies.filter((copy) => copy.key !== path && copy.state === "present");
      const specs = pending.map((copy): Omit<JobSpec, "inode"> => ({
        kind: "replicate",
        path: key,
        versionId: id,
        site: copy.site,
        key: copy.key,
        sizeBytes: bytes.length,
        priority: 10,
      }));
      const ids = [...specs, ...names, ...names].map(() => this.nextJobId());
      const publishIds = names.map(() => this.nextJobId());
      const { queueIsFull } = this.mover;
      const inode = await this.kv.transact(function* (tx): Program<Inode> {
        const { file, orphans, previous } = yield* commitVersion(tx, {
          path: key,
          version,
          expect: { kind: "any" },
          nowMs,
          nextInode: nextTestInode,
        });
        for (const [index, spec] of specs.entries()) {
          if (yield* enqueueJob(tx, { ...spec, inode: file.inode }, { id: ids[index] as JobId, nowMs, queueIsFull }))
            continue;
          yield* markUnqueued(tx, { path: key, inode: file.inode, versionId: id, site: spec.site });
        }
        for (const [index, place] of orphans.entries()) {
          const removal = removalOf(key, file.inode, previous as FileVersion, place);
          yield* enqueueJob(tx, removal, { id: ids[specs.length + index] as JobId, nowMs });
        }
        for (const [index, copy] of landed.entries()) {
          const spec = publishingOf(key, file.inode, version, copy);
          yield* enqueueJob(tx, spec, { id: publishIds[index] as JobId, nowMs });
        }
        return file.inode;
      });
      this.mover.wake();
      return { path: key, inode, version };
    });
  }

  /** The path for a new file; a key of its own where there is a file, and the path to be published under unless another's object lies there. */
  async #landing(
    site: string,
    path: FilePath,
    id: string,
  ): Promise<{ landing: string; home: Pick<Copy, "home" | "replaces"> }> {
    return await this.kv.view(function* (tx): Program<{ landing: string; home: Pick<Copy, "home" | "replaces"> }> {
      const file = yield* findFile(tx, path);
      const owner = yield* findOwner(tx, site as SiteName, path);
      if (file === undefined && owner === undefined) return { landing: path, home: {} };
      const landing = `.globalfs/landed/${id}`;
      if (owner !== undefined && owner.inode !== file?.inode) return { landing, home: {} };
      const before = file?.version?.copies.find((copy) => copy.site === site);
      const replaces = before?.key === path ? before.etag : before?.replaces;
      return { landing, home: { home: path, ...(replaces === undefined ? {} : { replaces }) } };
    });
  }

  /** The path, unless a renamed file's object still lies there. */
  async #objectKey(site: string, path: FilePath, id: string): Promise<string> {
    const taken = await this.kv.view(function* (tx): Program<boolean> {
      const owner = yield* findOwner(tx, site as SiteName, path);
      return owner !== undefined && owner.inode !== (yield* findFile(tx, path))?.inode;
    });
    return taken ? `.globalfs/landed/${id}` : path;
  }

  /** What a delete does: the name goes with a tombstone, and every copy's object gets a remove job. */
  async remove(path: string): Promise<void> {
    const key = path as FilePath;
    await this.locks.run(path, async () => {
      const nowMs = this.clock.nowMs();
      const ids = [...this.sites.keys(), ...this.sites.keys()].map(() => this.nextJobId());
      const tombstoneVersionId = nextTestId();
      await this.kv.transact(function* (tx): Program<void> {
        const removed = yield* removeFile(tx, { path: key, expect: { kind: "any" }, nowMs, tombstoneVersionId });
        for (const [index, copy] of (removed?.orphans ?? []).entries()) {
          const removal = removalOf(key, removed?.file.inode as Inode, removed?.file.version as FileVersion, copy);
          yield* enqueueJob(tx, removal, { id: ids[index] as JobId, nowMs });
        }
      });
    });
    this.mover.wake();
  }

  /** What a rename does: the objects keep their keys, and each copy gets a publish job, also one that is still on its way. */
  async rename(from: string, to: string): Promise<void> {
    const [first, second] = [from, to].sort() as [string, string];
    await this.locks.run(first, () =>
      this.locks.run(second, async () => {
        const nowMs = this.clock.nowMs();
        const ids = [...this.sites.keys(), ...this.sites.keys(), ...this.sites.keys(), ...this.sites.keys()].map(() =>
          this.nextJobId(),
        );
        await this.kv.transact(function* (tx): Program<void> {
          const { moved, replaced, left } = yield* rename(tx, {
            from: from as FilePath,
            to: to as FilePath,
            directory: false,
            overwrite: true,
            nowMs,
            nextInode: nextTestInode,
          });
          let next = 0;
          for (const copy of replaced?.orphans ?? []) {
            const removal = removalOf(
              to as FilePath,
              (replaced as { file: FileRecord }).file.inode,
              (replaced as { file: FileRecord }).file.version as FileVersion,
              copy,
            );
            yield* enqueueJob(tx, removal, { id: ids[next++] as JobId, nowMs });
          }
          for (const place of left) {
            const removal = removalOf(from as FilePath, moved.inode, moved.version as FileVersion, place);
            yield* enqueueJob(tx, removal, { id: ids[next++] as JobId, nowMs });
          }
          for (const copy of moved.version?.copies ?? []) {
            if (copy.key === to) continue;
            const spec = publishingOf(to as FilePath, moved.inode, moved.version as FileVersion, copy);
            yield* enqueueJob(tx, spec, { id: ids[next++] as JobId, nowMs });
          }
        });
      }),
    );
    this.mover.wake();
  }

  /** A person's order of a job for a file's copy. */
  async order(
    kind: JobKind,
    { path, inode, version }: Written,
    site: string,
    more: Partial<JobSpec> = {},
  ): Promise<JobProgress> {
    const base = { kind, path, inode, versionId: version.id, site: site as SiteName, key: path };
    return await this.mover.enqueue({ ...base, sizeBytes: version.sizeBytes, priority: 0, ...more });
  }

  /** The catalog's word for a copy becomes another, as when something was found out about it. */
  async setCopy({ path, inode, version }: Written, site: string, change: Change<Copy>): Promise<void> {
    const changed = { ...(await this.copy(path, site)), ...change };
    const copy = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined)) as never;
    await this.kv.transact((tx) => setCopy(tx, { inode, versionId: version.id, copy, nowMs: 1 }));
  }

  async jobs(): Promise<readonly JobProgress[]> {
    return (await this.mover.list({ limit: 1_000 })).jobs;
  }

  async job(which: Partial<Job>): Promise<JobProgress | undefined> {
    return (await this.jobs()).find((job) =>
      Object.entries(which).every(([name, value]) => job[name as keyof Job] === value),
    );
  }

  /** The catalog's word for a copy. */
  async copy(path: string, site: string): Promise<Copy | undefined> {
    const file = await this.kv.view((tx) => findFile(tx, path as FilePath));
    return file?.version?.copies.find((copy) => copy.site === site);
  }

  async versionOf(inode: Inode): Promise<FileVersion | undefined> {
    return (await this.kv.view((tx) => findByInode(tx, inode)))?.version;
  }

  async bodyAt(site: string, key: string): Promise<string | undefined> {
    return (await bytesAt(this.store(site), key))?.toString();
  }

  /** Until no job is left that could run without time moving on. */
  async idle(): Promise<void> {
    await this.until(async () =>
      (await this.jobs()).every(
        ({ state, notBeforeMs }) => state !== "running" && (state !== "waiting" || notBeforeMs > 0),
      ),
    );
  }

  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    for (let look = 0; look < 2_000; look++) {
      if (await condition()) return;
      await settle();
    }
    throw new Error(`It did not come to that: ${JSON.stringify(await this.jobs(), undefined, 1)}`);
  }
}

function removalOf(path: FilePath, inode: Inode, version: FileVersion, place: ObjectPlace): JobSpec {
  return {
    kind: "remove",
    path,
    inode,
    versionId: version.id,
    site: place.site,
    key: place.key,
    sizeBytes: 0,
    priority: 1,
    ...(place.etag === undefined ? {} : { etag: place.etag }),
  };
}

function publishingOf(path: FilePath, inode: Inode, version: FileVersion, { site, key }: Copy): JobSpec {
  return { kind: "publish", path, inode, versionId: version.id, site, key, sizeBytes: version.sizeBytes, priority: 20 };
}

/** A promise that a test resolves, to hold a site's call up. */
export function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open!: () => void;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
