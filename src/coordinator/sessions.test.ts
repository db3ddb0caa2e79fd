import { describe, expect, it, onTestFinished } from "vitest";
import { type Inode, ROOT_INODE } from "../core/ids.ts";
import type { Rule } from "../placement/index.ts";
import type { SessionEvent } from "../sessions/index.ts";
import { type Rig, rigCtx, startRig } from "./testing/rig.ts";
import { treeOf } from "./testing/tree.ts";

/** What clients that cache are told of what is done through the service, and what waits for them. */

const RULE: Omit<Rule, "name" | "keyPattern"> = { operations: [], targetRoles: [], priority: 1 };
const RULES: readonly Rule[] = [
  { ...RULE, name: "exact", keyPattern: "exact/**", consistency: "strict" },
  { ...RULE, name: "loose", keyPattern: "loose/**", consistency: "eventual" },
];

interface Watched {
  readonly rig: Rig;
  readonly inodes: Readonly<Record<string, Inode>>;
  readonly events: SessionEvent[];
  acknowledge(): void;
}

/** A session that covers three directories, and acknowledges nothing by itself. */
async function begin(): Promise<Watched> {
  const rig = await startRig({ rules: RULES });
  onTestFinished(async () => await rig.stop());
  const { sessions, files } = rig.coordinator;
  const tree = treeOf(files);
  const opened = await sessions.open({ host: "client" });
  const events: SessionEvent[] = [];
  sessions.attach(opened, { push: (event) => void events.push(event) });
  const inodes: Record<string, Inode> = {};
  for (const name of ["exact", "loose", "plain"]) {
    await rig.put(`${name}/a`, "old");
    inodes[name] = await tree.inode(name);
    expect(await sessions.cover({ ...opened, inodes: [], under: inodes[name] })).toEqual([inodes[name]]);
  }
  return {
    rig,
    inodes,
    events,
    acknowledge: () => sessions.acknowledge(opened, events.at(-1)?.revision ?? 0),
  };
}

/** Once it has come so far that only a session keeps it, or to its end. */
async function until(isSo: () => boolean): Promise<void> {
  await expect.poll(isSo, { interval: 1 }).toBe(true);
}

describe("a PUT", () => {
  it("is answered when the sessions know of it that have read the directory", async () => {
    const { rig, events, acknowledge } = await begin();
    let answered = false;
    const put = rig.put("plain/a", "new").then(() => (answered = true));
    await until(() => events.length > 0);
    expect([answered, await rig.read("plain/a")]).toEqual([false, "new"]);
    acknowledge();
    await put;
  });

  it("to what a rule calls strict is made when the sessions have let go of it", async () => {
    const { rig, events, inodes, acknowledge } = await begin();
    const put = rig.put("exact/a", "new");
    await until(() => events.length > 0);
    expect(events[0]?.withheld).toContain(inodes["exact"]);
    expect(await rig.read("exact/a")).toBe("old");
    acknowledge();
    await until(() => events.length > 1);
    expect(await rig.read("exact/a")).toBe("new");
    acknowledge();
    await put;
    await until(() => events.some(({ released }) => released !== undefined));
  });

  it("of a new file to what is strict withholds its directory", async () => {
    const { rig, events, inodes, acknowledge } = await begin();
    const put = rig.put("exact/b", "new");
    await until(() => events.length > 0);
    expect(events[0]?.withheld).toEqual([inodes["exact"]]);
    acknowledge();
    await until(() => events.length > 1);
    acknowledge();
    await put;
    expect(await rig.read("exact/b")).toBe("new");
  });

  it("to what a rule calls eventual waits for nobody", async () => {
    const { rig, events } = await begin();
    await rig.put("loose/a", "new");
    await rig.put("loose/b", "new");
    await until(() => events.length > 1);
  });
});

describe("whatever else changes a name", () => {
  it.each([
    ["a delete", async ({ coordinator }: Rig) => await coordinator.deleteObject(rigCtx, "plain/a")],
    ["a rename", async ({ coordinator }: Rig) => await coordinator.rename(rigCtx, { from: "plain/a", to: "other/a" })],
    [
      "a rename of the directory",
      async ({ coordinator }: Rig) => await treeOf(coordinator.files).rename("plain/a", "a"),
    ],
    [
      "a mode",
      async ({ coordinator }: Rig) => {
        const inode = await treeOf(coordinator.files).inode("plain/a");
        return await coordinator.files.setattr(rigCtx, { inode, mode: 0o600 });
      },
    ],
  ])("waits, too: %s", async (_name, change) => {
    const { rig, events, acknowledge } = await begin();
    let answered = false;
    const work = change(rig).then(() => (answered = true));
    await until(() => events.length > 0);
    expect(answered).toBe(false);
    acknowledge();
    await work;
  });
});

it("who covers the root is told of directories that come", async () => {
  const { rig, events } = await begin();
  const { sessions } = rig.coordinator;
  const opened = await sessions.open({ host: "root" });
  sessions.attach(opened, {
    push(event) {
      events.push(event);
      sessions.acknowledge(opened, event.revision);
    },
  });
  await sessions.cover({ ...opened, inodes: [], under: ROOT_INODE });
  await rig.put("new/a", "x");
  expect(events.flatMap(({ touches }) => touches)).toContainEqual({ parent: ROOT_INODE, name: "new" });
});
