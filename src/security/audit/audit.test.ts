import { writeSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { type FileTrail, openAuditTrail } from "./file-trail.ts";
import type { AuditedRequest, AuditLine } from "./types.ts";
import { systemTrailDisk, type TrailDisk } from "./lines-file.ts";
import { verifyTrail } from "./verify.ts";

let directory: string;
const clock = createFakeClock();
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "globalfs-audit-")), "audit");
});
afterEach(async () => {
  await rm(join(directory, ".."), { recursive: true });
});

interface Options {
  readonly disk?: TrailDisk;
  readonly maxBytes?: number;
  readonly onFailure?: "refuse" | "continue";
}

async function open({ disk, maxBytes = 1e9, onFailure = "refuse" }: Options = {}): Promise<FileTrail> {
  const deps = { clock, log: silentLogger, metrics: noMetrics, ...(disk === undefined ? {} : { disk }) };
  return await openAuditTrail(deps, { directory, maxBytes, onFailure });
}

const request = (number: number, more: Partial<AuditedRequest> = {}): AuditedRequest => ({
  door: "rest",
  user: "alice",
  key: "GFSK1",
  from: "10.0.0.1",
  op: "PUT object",
  path: `a/${number}`,
  requestId: `R${number}`,
  ...more,
});

function written(number: number, more: Partial<AuditedRequest> = {}): object {
  const { requestId, ...rest } = request(number, more);
  return { ...rest, request_id: requestId };
}

async function files(): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(".jsonl")).toSorted();
}

async function lines(): Promise<AuditLine[]> {
  const texts = await Promise.all((await files()).map(async (name) => await readFile(join(directory, name), "utf8")));
  return texts.flatMap((text) =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as AuditLine),
  );
}

describe("an audit trail", () => {
  it("says who, from where, what, and what was answered, in files of this user alone", async () => {
    const trail = await open();
    trail.changed(request(1), { status: 201 });
    trail.refused(request(2, { user: "", key: "", op: "GET object" }), { status: 403, code: "PermissionDenied" });
    trail.close();
    expect((await lines()).map(({ at: _at, prev: _prev, pid: _pid, ...line }) => line)).toEqual([
      { seq: 1, kind: "trail", what: "opened" },
      { seq: 2, kind: "change", ...written(1), status: 201 },
      {
        seq: 3,
        kind: "refusal",
        ...written(2, { user: "", key: "", op: "GET object" }),
        status: 403,
        code: "PermissionDenied",
      },
      { seq: 4, kind: "trail", what: "closed" },
    ]);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
  });

  it("has a line on the file before the call returns", async () => {
    const trail = await open();
    trail.changed(request(1), { status: 201 });
    expect((await lines()).at(-1)).toMatchObject({ request_id: "R1" });
    trail.close();
  });

  it("goes on over restarts and over files, as one chain", async () => {
    for (let start = 0; start < 3; start++) {
      const trail = await open({ maxBytes: 16_000 });
      for (let number = 0; number < 10; number++) trail.changed(request(number), { status: 201 });
      trail.close();
    }
    expect((await files()).length).toBeGreaterThan(2);
    const report = await verifyTrail(directory);
    expect(report).toMatchObject({ faults: [], torn: 0, lines: 36, first: { seq: 1 }, last: { seq: 36 } });
    const { hash } = report.last as { hash: string };
    expect(await verifyTrail(directory, hash)).toMatchObject({ includes: true });
    expect(await verifyTrail(directory, "f".repeat(64))).toMatchObject({ includes: false });
  });

  it("names the paths of one request in lines of bounded length", async () => {
    const trail = await open();
    const paths = Array.from({ length: 250 }, (_, number) => `k/${number}`);
    trail.changed(request(1, { paths }), { status: 200 });
    trail.close();
    const changes = (await lines()).filter(({ kind }) => kind === "change");
    expect(changes.map((line) => (line["paths"] as string[]).length)).toEqual([100, 100, 50]);
    expect(changes.flatMap((line) => line["paths"])).toEqual(paths);
  });

  it("notes what a kill cut off, wherever it was", async () => {
    const trail = await open();
    for (let number = 0; number < 3; number++) trail.changed(request(number), { status: 201 });
    trail.close();
    const [name = ""] = await files();
    const { size } = await stat(join(directory, name));
    const kept = join(directory, "..", "kept");
    await cp(directory, kept, { recursive: true });
    for (let cut = 0; cut <= size; cut += cut < size - 500 ? 97 : 7) {
      await rm(directory, { recursive: true });
      await cp(kept, directory, { recursive: true });
      await truncate(join(directory, name), cut);
      const again = await open();
      again.changed(request(9), { status: 201 });
      again.close();
      const report = await verifyTrail(directory);
      expect(report.faults, `cut at ${cut}`).toEqual([]);
      const before = await readFile(join(kept, name));
      // A line that lacks only its end is a whole one, too.
      const whole = cut === 0 || before[cut - 1] === 0x0a || before[cut] === 0x0a;
      expect(report.torn, `cut at ${cut}`).toBe(whole ? 0 : 1);
    }
  });

  it("notes what a loss of power left: zeros, or a file without a line", async () => {
    const trail = await open();
    trail.changed(request(1), { status: 201 });
    trail.close();
    const [name = ""] = await files();
    const bytes = await readFile(join(directory, name));
    await writeFile(join(directory, name), Buffer.concat([bytes, Buffer.alloc(700)]));
    (await open()).close();
    expect(await verifyTrail(directory)).toMatchObject({ faults: [], torn: 1 });
    await writeFile(join(directory, "audit-000000000007.jsonl"), "");
    (await open()).close();
    expect(await verifyTrail(directory)).toMatchObject({ faults: [], torn: 1, last: { seq: 8 } });
  });

  it("shows a line that was changed, taken out, put in or moved", async () => {
    const trail = await open();
    for (let number = 0; number < 5; number++) trail.changed(request(number), { status: 201 });
    trail.close();
    const path = join(directory, (await files())[0] as string);
    const good = (await readFile(path, "utf8")).split("\n").slice(0, -1);
    const damaged: readonly (readonly string[])[] = [
      good.with(2, (good[2] as string).replace("alice", "mallory")),
      good.toSpliced(3, 1),
      good.toSpliced(0, 2),
      good.toSpliced(3, 0, good[2] as string),
      good.with(2, good[3] as string).with(3, good[2] as string),
      good.with(4, "{}"),
    ];
    for (const [index, changed] of damaged.entries()) {
      await writeFile(path, `${changed.join("\n")}\n`);
      expect((await verifyTrail(directory)).faults.length, `way ${index}`).toBeGreaterThan(0);
    }
    await writeFile(path, `${good.join("\n")}\n`);
    expect((await verifyTrail(directory)).faults).toEqual([]);
  });

  it("is verified while its oldest files are removed", async () => {
    const trail = await open({ maxBytes: 30_000 });
    let reports = 0;
    for (let number = 0; number < 4_000; number += 200) {
      const verifying = verifyTrail(directory);
      for (let each = 0; each < 200; each++) {
        trail.changed(request(number + each), { status: 201 });
        if (each % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const report = await verifying;
      expect(report.faults).toEqual([]);
      reports += report.first !== undefined && report.first.seq > 1 ? 1 : 0;
    }
    expect(reports).toBeGreaterThan(10);
    trail.close();
  });

  it("removes its oldest files past the bound and says which lines went; one that somebody else removed is missed", async () => {
    const trail = await open({ maxBytes: 40_000 });
    for (let number = 0; number < 400; number++) {
      trail.changed(request(number), { status: 201 });
      // Files are removed in the background.
      if (number % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const total = async (): Promise<number> => {
      const sizes = await Promise.all((await files()).map(async (name) => (await stat(join(directory, name))).size));
      return sizes.reduce((sum, size) => sum + size, 0);
    };
    await expect.poll(total).toBeLessThan(50_000);
    trail.close();
    const report = await verifyTrail(directory);
    expect(report.faults).toEqual([]);
    expect(report.first?.seq).toBeGreaterThan(1);
    const [oldest = "", second = ""] = await files();
    const bytes = await readFile(join(directory, second));
    await rm(join(directory, second));
    expect((await verifyTrail(directory)).faults.join()).toContain("is missing");
    await writeFile(join(directory, second), bytes);
    await rm(join(directory, oldest));
    expect((await verifyTrail(directory)).faults.join()).toContain("are missing, and no line says");
  });
});

describe("while the disk takes nothing", () => {
  /** A disk with so many bytes left. */
  function fullDisk(): TrailDisk & { left: number } {
    return {
      left: 1e9,
      open: (path) => systemTrailDisk.open(path),
      write(descriptor, bytes) {
        if (this.left === 0) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        const some = bytes.subarray(0, this.left);
        this.left -= some.byteLength;
        return writeSync(descriptor, some);
      },
    };
  }

  it("changes are refused, and go on when there is room again; no line is lost", async () => {
    const disk = fullDisk();
    const trail = await open({ disk });
    trail.assertWritable();
    // In the middle of a line; the room that is kept for this day is used up, too.
    disk.left = 100;
    trail.changed(request(1), { status: 201 });
    trail.changed(request(2), { status: 201 });
    expect(() => trail.assertWritable()).toThrow(/audit trail cannot be written/);
    disk.left = 1e9;
    trail.assertWritable();
    trail.close();
    expect((await lines()).map((line) => line["request_id"])).toEqual([undefined, "R1", "R2", undefined]);
    expect((await verifyTrail(directory)).faults).toEqual([]);
  });

  it("changes go on where that was chosen, and what cannot be kept is counted in a line", async () => {
    const disk = fullDisk();
    const trail = await open({ disk, onFailure: "continue" });
    disk.left = 0;
    for (let number = 0; number < 6_000; number++) trail.changed(request(number), { status: 201 });
    trail.assertWritable();
    disk.left = 1e9;
    await clock.advance(1_000);
    trail.changed(request(7_000), { status: 201 });
    trail.close();
    const kept = (await lines()).filter(({ kind }) => kind === "change").length - 1;
    const lost = (await lines()).find((line) => line["what"] === "lost")?.["count"] as number;
    expect(kept + lost).toBe(6_000);
    expect(lost).toBeGreaterThan(0);
    expect((await verifyTrail(directory)).faults).toEqual([]);
  });

  it("the room that was kept for this day is used first", async () => {
    const disk = fullDisk();
    const trail = await open({ disk });
    const before = await readdir(directory);
    expect(before).toContain("reserve");
    // What is freed by giving the reserve up is room for the next writes.
    const write = disk.write.bind(disk);
    let refused = 0;
    disk.write = (descriptor, bytes) => {
      if (refused++ === 0) throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
      return write(descriptor, bytes);
    };
    trail.changed(request(1), { status: 204 });
    trail.assertWritable();
    expect(await readdir(directory)).not.toContain("reserve");
    trail.close();
  });
});

describe("what others can make happen as often as they like", () => {
  it("has lines of its own up to a bound, and is counted past it", async () => {
    const trail = await open();
    for (let number = 0; number < 20_000; number++)
      trail.refused(request(number, { from: `10.0.${number % 200}.1` }), { status: 401 });
    await clock.advance(60_000);
    trail.close();
    const refusals = (await lines()).filter(({ kind }) => kind === "refusal");
    expect(refusals.length).toBeLessThan(260);
    const counted = refusals.reduce((sum, line) => sum + ((line["more"] as number | undefined) ?? 1), 0);
    expect(counted).toBe(20_000);
  });

  it("is written one by one again in the next minute", async () => {
    const trail = await open();
    for (let number = 0; number < 100; number++) trail.refused(request(number), { status: 401 });
    await clock.advance(60_000);
    trail.refused(request(1_000), { status: 401 });
    trail.close();
    expect((await lines()).at(-2)).toMatchObject({ request_id: "R1000", status: 401 });
  });
});

describe("keys", () => {
  const use = { door: "s3", user: "alice", key: "GFSK1", from: "10.0.0.1" };

  it("have a line at their first use from an address, and one each hour with how often they were used", async () => {
    const trail = await open();
    const identity = {};
    for (const connection of [{}, {}])
      for (let time = 0; time < 50; time++) trail.used(connection, identity, () => use);
    const other = {};
    trail.used(other, identity, () => ({ ...use, from: "10.0.0.2" }));
    const uses = async (): Promise<unknown[]> =>
      (await lines())
        .filter(({ kind }) => kind === "use")
        .map((line) => [line["from"], (line["times"] as number | undefined) ?? "first"]);
    expect(await uses()).toEqual([
      ["10.0.0.1", "first"],
      ["10.0.0.2", "first"],
    ]);
    await clock.advance(3_600_000);
    expect((await uses()).slice(2)).toEqual([["10.0.0.1", 99]]);
    // An hour without a use: the next one is a first one.
    await clock.advance(3_600_000);
    trail.used(other, identity, () => ({ ...use, from: "10.0.0.2" }));
    expect((await uses()).slice(3)).toEqual([["10.0.0.2", "first"]]);
    trail.close();
  });
});

describe("asking a trail", () => {
  it("gives the newest lines that fit, oldest first, and says where to go on", async () => {
    const trail = await open({ maxBytes: 1e6 });
    for (let number = 0; number < 3_000; number++)
      trail.changed(request(number, { user: number % 2 === 0 ? "alice" : "bob" }), { status: 201 });
    const ids = async (query: Parameters<FileTrail["query"]>[0]): Promise<unknown[]> =>
      (await trail.query(query)).lines.map((line) => line["request_id"]);
    expect(await ids({ limit: 3 })).toEqual(["R2997", "R2998", "R2999"]);
    expect(await ids({ limit: 2, user: "bob" })).toEqual(["R2997", "R2999"]);
    expect(await ids({ limit: 5, path: "/a/17" })).toEqual(["R17"]);
    expect((await ids({ limit: 5_000, path: "a" })).length).toBe(3_000);
    expect(await ids({ limit: 5, path: "a/1/" })).toEqual(["R1"]);
    const page = await trail.query({ limit: 100 });
    expect((await trail.query({ limit: 1, before: page.before as number })).lines[0]?.seq).toBe((page.before ?? 0) - 1);
    expect((await trail.query({ limit: 100, after: 2_999 })).lines.map(({ seq }) => seq)).toEqual([3_000, 3_001]);
    expect(await ids({ limit: 10, after: 9_999 })).toEqual([]);
    trail.close();
  });
});
