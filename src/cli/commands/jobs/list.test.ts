import type { Job } from "@globalfs/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Served, serveInProcess } from "../../testing/served.ts";
import { progressOf } from "./list.ts";

describe("what a list shows of a job's progress", () => {
  const job = (part: Partial<Job>): Job => ({
    id: "j",
    kind: "replicate",
    state: "running",
    key: "k",
    site: "cloud",
    size: 2_048,
    bytesDone: 0,
    attempts: 1,
    ...part,
  });

  test.each([
    [{ bytesDone: 1_034 }, "50% of 2.00 KiB"],
    [{ bytesDone: 2_048 }, "99% of 2.00 KiB"],
    [{ state: "paused", bytesDone: 1_024 }, "50% of 2.00 KiB"],
    [{ state: "waiting", bytesDone: 2_048 }, "- of 2.00 KiB"],
    [{ state: "failed", bytesDone: 2_048 }, "- of 2.00 KiB"],
    [{ state: "done", bytesDone: 2_048 }, "2.00 KiB"],
    [{ size: 0 }, "-"],
  ] as const)("%j is %s", (part, shown) => {
    expect(progressOf(job(part)).replace("2 KiB", "2.00 KiB")).toBe(shown);
  });
});

describe("jobs list", () => {
  let served: Served;
  beforeAll(async () => {
    served = await serveInProcess();
    for (let index = 0; index < 5; index++) await served.rig.put(`k${index}`, "1");
    await served.rig.settled();
  });
  afterAll(async () => served.stop());

  const idsOf = (out: string): string[] => (JSON.parse(out) as { id: string }[]).map(({ id }) => id);

  test("says that there are more, and how to see them", async () => {
    const first = await served.run(["jobs", "list", "--limit", "2"]);
    expect(first.exit).toBe(0);
    expect(first.out.split("\n")).toHaveLength(4);
    const [, after] = /There are .*more.*: --after (\S+) goes on, .*--all/.exec(first.err) ?? [];
    const all = idsOf((await served.run(["jobs", "list", "--all", "--json"])).out);
    expect(all).toHaveLength(5);
    const seen = [idsOf((await served.run(["jobs", "list", "--limit", "2", "--json"])).out)];
    const second = await served.run(["jobs", "list", "--limit", "3", "--json", "--after", after as string]);
    seen.push(idsOf(second.out));
    expect(seen.flat()).toEqual(all);
    expect(second.err).toBe("");
  });

  test("tells a program, too, that there are more", async () => {
    const { err } = await served.run(["jobs", "list", "--limit", "1", "--json"]);
    expect(JSON.parse(err)).toEqual({ warning: expect.stringContaining("more") });
    expect((await served.run(["jobs", "list", "--limit", "5", "--json"])).err).toBe("");
    expect((await served.run(["jobs", "list", "--limit", "1", "--all"])).err).toBe(
      "5 of 5 jobs shown; in all 5 done.\n",
    );
  });
});
