import { afterAll, beforeAll, expect, test } from "vitest";
import { type Served, serveInProcess } from "../../testing/served.ts";

let served: Served;
beforeAll(async () => {
  served = await serveInProcess();
});
afterAll(async () => served.stop());

test("a pause of all jobs shows in status, info, jobs list, jobs show and explain, with its reason", async () => {
  expect((await served.run(["jobs", "pause", "--all", "--reason", "the link is down"])).exit).toBe(0);
  await served.rig.put("k", "1");
  const why = /paused since \d{4}-.*: the link is down/;
  const status = await served.run(["status"]);
  expect([status.exit, status.out]).toEqual([
    0,
    expect.stringMatching(/^PAUSED: no job runs since .*the link is down/m),
  ]);
  expect((await served.run(["info"])).out).toMatch(why);
  const listed = await served.run(["jobs", "list"]);
  expect(listed.out).toMatch(why);
  expect(listed.err).toMatch(why);
  const [job] = JSON.parse((await served.run(["jobs", "list", "--json"])).out) as { id: string }[];
  expect((await served.run(["jobs", "show", job?.id as string])).out).toMatch(why);
  expect((await served.run(["explain", "k"])).out).toMatch(why);
  expect((await served.run(["jobs", "resume", "--all"])).exit).toBe(0);
  await served.rig.settled();
  for (const words of [["status"], ["info"], ["jobs", "list"]]) {
    const { out, err } = await served.run(words);
    expect(out + err).not.toMatch(/paused since|PAUSED/);
  }
});

test("jobs list begins with the newest and tells how many there are", async () => {
  for (let index = 0; index < 5; index++) await served.rig.put(`many/${index}`, "1");
  await served.rig.settled();
  const { out, err } = await served.run(["jobs", "list", "--limit", "2"]);
  expect(out.match(/many\/\d/g)).toEqual(["many/4", "many/3"]);
  expect(err).toMatch(/^2 of 6 jobs shown; in all 6 done\.\nglobalfs: There are more jobs: --after \w+ goes on, /);
});
