import type { FilePath, Inode, SiteName, VersionId } from "../../core/ids.ts";
import type { CommitVersion, FileVersion } from "../types.ts";

/** The simplest tree that could be right: sorted keys in a set. What the namespace is held against. */
export class ModelTree {
  /** Path to version id. */
  readonly files = new Map<string, string>();
  /** Explicit directories, without the slash. */
  readonly directories = new Set<string>();

  keys(): string[] {
    return [...this.files.keys(), ...[...this.directories].map((path) => `${path}/`)].sort(byBytes);
  }

  put(path: string, versionId: string): void {
    this.files.set(path, versionId);
  }

  remove(path: string): boolean {
    return this.files.delete(path);
  }

  hasDirectory(path: string): boolean {
    return this.directories.has(path) || this.keys().some((key) => key.startsWith(`${path}/`));
  }

  isEmptyDirectory(path: string): boolean {
    return !this.keys().some((key) => key.startsWith(`${path}/`) && key !== `${path}/`);
  }

  /** As `DELETE dir/` has it. */
  removeDirectory(path: string): void {
    this.directories.delete(path);
  }

  renameFile(from: string, to: string, overwrite: boolean): "ok" | "NotFound" | "AlreadyExists" {
    const version = this.files.get(from);
    if (version === undefined) return "NotFound";
    if (from === to) return "ok";
    if (this.files.has(to) && !overwrite) return "AlreadyExists";
    this.files.delete(from);
    this.files.set(to, version);
    return "ok";
  }

  renameDirectory(
    from: string,
    to: string,
    overwrite: boolean,
  ): "ok" | "NotFound" | "AlreadyExists" | "NotEmpty" | "InvalidArgument" {
    if (!this.hasDirectory(from)) return "NotFound";
    if (from === to) return "ok";
    if (`${to}/`.startsWith(`${from}/`)) return "InvalidArgument";
    if (this.hasDirectory(to)) {
      if (!overwrite) return "AlreadyExists";
      if (!this.isEmptyDirectory(to)) return "NotEmpty";
      this.directories.delete(to);
    }
    for (const [path, version] of this.files) {
      if (!path.startsWith(`${from}/`)) continue;
      this.files.delete(path);
      this.files.set(to + path.slice(from.length), version);
    }
    for (const path of this.directories) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.directories.delete(path);
      this.directories.add(to + path.slice(from.length));
    }
    return "ok";
  }

  list(query: { prefix: string; delimiter?: "/" | undefined; after?: string | undefined }): {
    keys: string[];
    prefixes: string[];
  } {
    const keys: string[] = [];
    const prefixes = new Set<string>();
    for (const key of this.keys()) {
      if (!key.startsWith(query.prefix)) continue;
      const slash = query.delimiter === undefined ? -1 : key.indexOf("/", query.prefix.length);
      if (query.after !== undefined && byBytes(key, query.after) <= 0) continue;
      if (slash === -1) keys.push(key);
      else {
        const rolled = key.slice(0, slash + 1);
        // A page that ended with this prefix has given it already.
        if (rolled !== query.after) prefixes.add(rolled);
      }
    }
    return { keys, prefixes: [...prefixes] };
  }
}

export function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

let ids = 0;
let inodes = 1_000;

/** For tests that run programs by themselves; none comes twice in a process. */
export function nextTestInode(): Inode {
  return inodes++ as Inode;
}

export function nextTestId(): VersionId {
  ids += 1;
  return `01TEST${String(ids).padStart(20, "0")}` as VersionId;
}

/** Versions that follow each other differ in size. */
export function sizeOfTest(id: VersionId): number {
  return 1 + (Number(id.slice(-3)) % 7);
}

export function testVersion(
  path: string,
  options: { site?: string; id?: VersionId; key?: string; sizeBytes?: number } = {},
): FileVersion {
  const id = options.id ?? nextTestId();
  return {
    id,
    sizeBytes: options.sizeBytes ?? 3,
    etag: `etag-${id}`,
    metadata: {},
    createdMs: 1_000,
    copies: [
      {
        site: (options.site ?? "local") as SiteName,
        key: options.key ?? path,
        state: "present",
        etag: `at-${id}`,
        changedMs: 1_000,
      },
    ],
  };
}

export function testCommit(path: string, nextInode: CommitVersion["nextInode"], version: FileVersion): CommitVersion {
  return { path: path as FilePath, version, expect: { kind: "any" }, nowMs: 2_000, nextInode };
}
