import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileSite, writeConfiguration } from "../e2e/support/configuration.ts";
import { faultsAtRest } from "../e2e/support/stopped-catalog.ts";
import { bundle, type Bundle } from "../programs/bundle.ts";

let daemon: Bundle;
beforeAll(async () => {
  daemon = await bundle(join(import.meta.dirname, "process/daemon.ts"));
});
afterAll(async () => await daemon.remove());

async function startDaemon(config: string) {
  const child = spawn(process.execPath, [daemon.path, "coordinator", "start", "--config", config], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  let log = "";
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (piece: string) => {
        log += piece;
        const port = /"url":"http:\/\/[^"]*:(\d+)"[^\n]*"event":"coordinator_ready"/.exec(log)?.[1];
        if (port !== undefined) resolve(`http://127.0.0.1:${port}`);
      });
    child.once("close", () => reject(new Error(`The daemon ended:\n${log}`)));
  });
  return { child, ended, url };
}

interface Upload {
  readonly sending: ClientRequest;
  readonly answer: Promise<number | undefined>;
}

function beginUpload(url: string, sizeBytes: number): Upload {
  const sending = request(url, { method: "PUT", headers: { "Content-Length": sizeBytes, Connection: "close" } });
  const answer = once(sending, "response").then(([response]) => {
    (response as IncomingMessage).resume();
    return (response as IncomingMessage).statusCode;
  });
  answer.catch(() => undefined);
  return { sending, answer };
}

test(
  "P3 SIGTERM lets running requests finish, refuses new ones and leaves nothing half done",
  { timeout: 60_000 },
  async () => {
    const config = await writeConfiguration(daemon.directory, [
      fileSite("local", "primary"),
      fileSite("cloud", "burst"),
    ]);
    const first = await startDaemon(config);
    const put = async (key: string, body: string): Promise<Response> =>
      await fetch(`${first.url}/api/v1/objects/${key}`, { method: "PUT", body });
    for (let index = 0; index < 20; index++) expect((await put(`k${index}`, `body ${index}`)).status).toBe(201);
    const { sending, answer } = beginUpload(`${first.url}/api/v1/objects/slow`, 10);
    sending.write("01234");
    const corner = join(daemon.directory, "local", ".globalfs");
    await expect
      .poll(async () => (await filesBelow(join(corner, "staging"))).length, { timeout: 10_000 })
      .toBeGreaterThan(0);
    first.child.kill("SIGTERM");
    const late = new Set<string>();
    const isRefused = async (): Promise<boolean> => {
      const key = `late${late.size}`;
      const answer = await put(key, "x").catch(() => undefined);
      if (answer?.status !== 201) return true;
      late.add(key);
      return false;
    };
    await expect.poll(isRefused, { timeout: 10_000 }).toBe(true);
    sending.end("56789");
    expect(await answer).toBe(201);
    expect(await first.ended).toEqual([0, null]);
    // Nobody holds this lock any more; it is a file that is there for the next process.
    expect(await filesBelow(corner)).toEqual([join("intake", "owner")]);

    const second = await startDaemon(config);
    const expected = new Map([["slow", Buffer.from("0123456789")]]);
    for (let index = 0; index < 20; index++) expected.set(`k${index}`, Buffer.from(`body ${index}`));
    for (const key of late) expected.set(key, Buffer.from("x"));
    for (const [key, body] of expected)
      expect(await (await fetch(`${second.url}/api/v1/objects/${key}`)).text()).toBe(body.toString());
    await expect
      .poll(
        async () => {
          const response = await fetch(`${second.url}/api/v1/jobs?limit=100`);
          const { jobs } = (await response.json()) as { jobs: { state: string }[] };
          return jobs.every(({ state }) => state === "done");
        },
        { timeout: 15_000 },
      )
      .toBe(true);
    second.child.kill("SIGTERM");
    await second.ended;
    expect(await faultsAtRest(daemon.directory, ["local", "cloud"], expected)).toEqual([]);
  },
);

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(directory, join(parentPath, name)))
    .toSorted();
}
