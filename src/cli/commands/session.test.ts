import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ROOT_INODE } from "../../core/ids.ts";
import type { OpenedSession } from "../../sessions/index.ts";
import { treeOf } from "../../coordinator/testing/tree.ts";
import { type Served, serveInProcess } from "../testing/served.ts";

let served: Served;
let mount: OpenedSession;

const signal = new AbortController().signal;

beforeAll(async () => {
  served = await serveInProcess();
  await served.rig.put("data/x", "1");
  const { sessions, files } = served.rig.coordinator;
  const tree = treeOf(files);
  mount = await sessions.open({ host: "laptop", labels: { mount: "/mnt/data" } });
  const inode = await tree.inode("data/x");
  await sessions.cover({ ...mount, inodes: [], under: await tree.inode("data") });
  await sessions.cover({ ...mount, inodes: [], under: ROOT_INODE });
  await sessions.takeWriteLease(mount, inode, { wait: false, signal });
  const lock = { ...mount, inode, kind: "posix" as const, owner: "pid-7", mode: "exclusive" as const };
  await sessions.lock({ ...lock, start: 0, end: 100 }, { wait: false, signal });
  sessions.lock({ ...lock, owner: "pid-8", start: 50, end: 60 }, { wait: true, signal }).catch(() => undefined);
  await vi.waitUntil(async () => (await sessions.leases({ limit: 10 })).length === 5);
});
afterAll(async () => served.stop());

test("session list shows who caches, how much, and who serves it", async () => {
  const { exit, out } = await served.run(["session", "list"]);
  expect(exit).toBe(0);
  expect(out).toMatch(/^ID +HOST +AGE +COVERS +BEHIND +SERVED BY +STATE$/m);
  expect(out).toMatch(new RegExp(`^${mount.session} +laptop +\\d+s? +2 +\\d+ +test`, "m"));
  const [shown] = JSON.parse((await served.run(["session", "list", "--json"])).out) as Record<string, unknown>[];
  expect(shown).toMatchObject({ id: mount.session, host: "laptop", labels: { mount: "/mnt/data" }, covered: 2 });
});

test("session list says when changes wait for somebody", async () => {
  const put = served.rig.put("data/y", "2");
  await expect
    .poll(async () => (await served.run(["session", "list"])).out)
    .toMatch(/changes wait for it since .*, for \d+s more at most/);
  const { sessions } = served.rig.coordinator;
  sessions.acknowledge(mount, Number.MAX_SAFE_INTEGER);
  await expect
    .poll(() => {
      sessions.acknowledge(mount, Number.MAX_SAFE_INTEGER);
      return sessions.list()[0]?.here?.behind;
    })
    .toBe(0);
  await put;
});

test("leases lists what is covered, leased, locked and waited for, of all or of a path", async () => {
  const { out } = await served.run(["leases"]);
  expect(out).toMatch(new RegExp(`^read +held +${mount.session} +laptop +data$`, "m"));
  expect(out).toMatch(/^read +held .* \/$/m);
  expect(out).toMatch(/^write +held .* epoch \d+ +data\/x$/m);
  expect(out).toMatch(/^posix +held .* pid-7 exclusive 0-99 +data\/x$/m);
  expect(out).toMatch(/^posix +waiting .* pid-8 exclusive 50-59 +data\/x$/m);
  const of = async (path: string): Promise<string[]> => {
    const page = JSON.parse((await served.run(["leases", path, "--json"])).out) as { leases: { type: string }[] };
    return page.leases.map(({ type }) => type).sort();
  };
  expect(await of("data/x")).toEqual(["posix", "posix", "read", "write"]);
  expect(await of("data")).toEqual(["read"]);
  expect(await of("none")).toEqual([]);
  expect((await served.run(["leases", "--limit", "2"])).err).toMatch(/There are more/);
});

test("session evict sends a session away, and says so of one that is not there", async () => {
  expect((await served.run(["session", "evict", "none"])).exit).toBe(4);
  expect(await served.run(["session", "evict", mount.session])).toMatchObject({ exit: 0 });
  await expect.poll(async () => (await served.run(["session", "list"])).out).toMatch(/sent away/);
});
