import type { FilePath, SiteName, VersionId } from "../../core/ids.ts";
import {
  createMemoryKv,
  type Key,
  type Kv,
  prefixRange,
  type Program,
  type Reader,
  type Transaction,
} from "../../kv/index.ts";
import {
  type BucketSettings,
  type CatalogReport,
  type Change,
  changeLabels,
  type ChangeLabels,
  checkCatalog,
  commitVersion,
  type CommitVersion,
  type Committed,
  type DeletedKey,
  deleteKey,
  type DeleteKey,
  type FileRecord,
  findDirectory,
  findFile,
  findOwner,
  historyAfter,
  initialize,
  makeDirectory,
  type MakeDirectory,
  type ObjectPlace,
  readChanges,
  type Removed,
  removeFile,
  type RemovedVersion,
  removeVersion,
  type RemoveVersion,
  rename,
  type Rename,
  type Renamed,
  shownVersionId,
  writeBucket,
} from "../index.ts";
import { nextTestId, nextTestInode, testCommit, testVersion } from "./model.ts";

export const at = (path: string): FilePath => path as FilePath;

/** Where the bytes of a file's version lie. */
export const placesOf = ({ version }: FileRecord): ObjectPlace[] =>
  (version?.copies ?? []).map(({ site, key, etag }) => ({ site, key, ...(etag === undefined ? {} : { etag }) }));

type PutOptions = Partial<CommitVersion> & { readonly key?: string; readonly site?: string; readonly id?: VersionId };

const ROWS_A_COMMIT = 100;

/** A catalog in memory with its root, and the steps that tests take in it. */
export class TestCatalog {
  readonly kv: Kv = createMemoryKv();
  readonly nextInode = nextTestInode;

  static async open(): Promise<TestCatalog> {
    const catalog = new TestCatalog();
    await catalog.initialize();
    return catalog;
  }

  async initialize(): Promise<void> {
    await this.kv.transact((tx) => initialize(tx, 1_000));
  }

  async run<T>(program: (tx: Transaction) => Program<T>): Promise<T> {
    return await this.kv.transact(program);
  }

  async view<T>(program: (tx: Reader) => Program<T>): Promise<T> {
    return await this.kv.view(program);
  }

  /** Each of these objects is under a key of its own at the site, as versions of one path have to be. */
  async put(path: string, options: PutOptions = {}): Promise<Committed> {
    const version = testVersion(path, options);
    return await this.run((tx) => commitVersion(tx, { ...testCommit(path, this.nextInode, version), ...options }));
  }

  async putApart(path: string, options: PutOptions = {}): Promise<Committed> {
    const id = options.id ?? nextTestId();
    return await this.put(path, { ...options, id, key: `objects/${id}` });
  }

  async remove(path: string, options: Partial<DeleteKey> = {}): Promise<Removed | undefined> {
    return await this.run((tx) => removeFile(tx, { ...deletion(path), ...options }));
  }

  async deleteKey(path: string, options: Partial<DeleteKey> = {}): Promise<DeletedKey> {
    return await this.run((tx) => deleteKey(tx, { ...deletion(path), ...options }));
  }

  async removeVersion(
    path: string,
    versionId: string,
    options: Partial<RemoveVersion> = {},
  ): Promise<RemovedVersion | undefined> {
    const request = { ...deletion(path), versionId, nextInode: this.nextInode, ...options };
    return await this.run((tx) => removeVersion(tx, request));
  }

  async move(from: string, to: string, options: Partial<Rename> = {}): Promise<Renamed> {
    const { nextInode } = this;
    const request = { from: at(from), to: at(to), directory: false, overwrite: false, nowMs: 6_000, nextInode };
    return await this.run((tx) => rename(tx, { ...request, ...options }));
  }

  async makeDirectory(path: string, options: Partial<MakeDirectory> = {}): Promise<FileRecord> {
    const attributes = { mode: 0o750, uid: 0, gid: 0, parents: false, existing: "refuse" as const, nowMs: 3_000 };
    const request = { path: at(path), ...attributes, nextInode: this.nextInode, ...options };
    return await this.run((tx) => makeDirectory(tx, request));
  }

  async writeBucket(
    name: string,
    settings: Partial<BucketSettings> = {},
    documents: Readonly<Record<string, string | null>> = {},
  ): Promise<void> {
    const whole = { createdMs: 1, versioning: "enabled" as const, objectLock: false, lifecycle: [], ...settings, name };
    const { nextInode } = this;
    await this.run((tx) => writeBucket(tx, { settings: whole, documents, nowMs: 1_500, nextInode }));
  }

  async label(path: string, change: Partial<ChangeLabels>): Promise<FileRecord | undefined> {
    return await this.run((tx) => changeLabels(tx, { path: at(path), nowMs: 7_000, ...change }));
  }

  /** The versions of a path that are not current, the newest first and as S3 shows them; a delete marker with an exclamation mark. */
  async history(path: string): Promise<string[]> {
    const rows = await this.view((tx) => historyAfter(tx, path, { limit: 100 }));
    return rows.map((row) => shownVersionId(row) + (row.inode === undefined ? "!" : ""));
  }

  /** Whether any file owns the object. */
  async isOwned(objectKey: string): Promise<boolean> {
    return (await this.view((tx) => findOwner(tx, "local" as SiteName, objectKey))) !== undefined;
  }

  async file(path: string): Promise<FileRecord | undefined> {
    return await this.view((tx) => findFile(tx, at(path)));
  }

  async directory(path: string): Promise<FileRecord | undefined> {
    return await this.view((tx) => findDirectory(tx, at(path)));
  }

  /** What the feed got to know while the work was done. */
  async told(work: () => Promise<unknown>): Promise<readonly Change[]> {
    const { cursor } = await this.view((tx) => readChanges(tx, { after: 0, limit: 10_000 }));
    await work();
    return (await this.view((tx) => readChanges(tx, { after: cursor, limit: 10_000 }))).changes;
  }

  async rowsBelow(space: Key): Promise<number> {
    return (await this.view((tx) => tx.range({ ...prefixRange(space), limit: 10_000 }))).length;
  }

  async write(rows: readonly (readonly [Key, Uint8Array | undefined])[]): Promise<void> {
    for (let from = 0; from < rows.length; from += ROWS_A_COMMIT) {
      await this.run(function* (tx): Program<void> {
        for (const [key, value] of rows.slice(from, from + ROWS_A_COMMIT)) {
          if (value === undefined) tx.delete(key);
          else tx.put(key, value);
        }
      });
    }
  }

  async check(): Promise<CatalogReport> {
    return await checkCatalog(this.kv);
  }
}

function deletion(path: string): DeleteKey {
  const maker = { nowMs: 5_000, nextInode: nextTestInode };
  return { ...maker, path: at(path), expect: { kind: "any" }, tombstoneVersionId: nextTestId() };
}
