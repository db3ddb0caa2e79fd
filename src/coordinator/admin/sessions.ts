import type { Inode, SessionId } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { pathOf, posix } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Kit } from "../kit.ts";
import type { LeasePage, PathLease, SessionService } from "../service/sessions.ts";

/** Sessions and what they hold, with the names that people know files by. */

export function createSessionService(kit: Kit): SessionService {
  return {
    listSessions: async () => kit.sessions.list(),
    listLeases: async (_ctx, { path, limit }) => await listLeases(kit, path, limit),
    evictSession: async (_ctx, session) => await kit.sessions.evict(session as SessionId),
  };
}

async function listLeases({ kv, sessions }: Kit, path: string | undefined, limit: number): Promise<LeasePage> {
  const inodes = path === undefined ? undefined : await readCatalog(kv, (tx) => inodesOf(tx, path));
  const found = await sessions.leases({ limit: limit + 1, ...(inodes === undefined ? {} : { inodes }) });
  const shown = found.slice(0, limit);
  const paths = await readCatalog(kv, (tx) => pathsOf(tx, new Set(shown.map(({ inode }) => inode))));
  const hosts = new Map(sessions.list().map(({ session, host }) => [session, host]));
  return {
    leases: shown.map((lease): PathLease => {
      const [at, host] = [paths.get(lease.inode), hosts.get(lease.session)];
      return { ...lease, ...(at === undefined ? {} : { path: at }), ...(host === undefined ? {} : { host }) };
    }),
    more: found.length > limit,
  };
}

/** What lies there, and the directory that tells of it. */
function* inodesOf(tx: Reader, path: string): Program<readonly Inode[]> {
  const { file } = yield* posix.walk(tx, { path, last: "itself" });
  if (file === undefined) return [];
  return file.parent === undefined || file.kind === "directory" ? [file.inode] : [file.inode, file.parent.inode];
}

function* pathsOf(tx: Reader, inodes: ReadonlySet<Inode>): Program<ReadonlyMap<Inode, string>> {
  const paths = new Map<Inode, string>();
  for (const inode of inodes) {
    const path = yield* pathOf(tx, inode);
    if (path !== undefined) paths.set(inode, path);
  }
  return paths;
}
