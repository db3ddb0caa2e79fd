import { afterAll, beforeAll, expect, it } from "vitest";
import { createClient } from "../../../packages/client/src/index.ts";
import { serveRest, type ServedRest } from "./testing/served-rest.ts";

let served: ServedRest;
beforeAll(async () => {
  served = await serveRest();
});
afterAll(async () => await served.close());

const NAMES = ["__proto__", "constructor", "tostring", "hasownproperty", "__definegetter__", "valueof"];

it.each(NAMES)("Metadata may be called %s, and comes back", async (name) => {
  const header = `x-globalfs-meta-${name}`;
  const path = `/api/v1/objects/named-${name}`;
  const stored = await served.call("PUT", path, { body: "x", headers: { [header]: "kept" } });
  expect(stored.status).toBe(201);
  const read = await served.call("GET", path);
  expect(read.headers[header]).toBe("kept");
  expect(Object.keys(read.headers).filter((each) => each.startsWith("x-globalfs-meta-"))).toEqual([header]);
  const client = createClient({ endpoint: `http://127.0.0.1:${served.port}` });
  try {
    const info = await client.head(`named-${name}`);
    expect(Object.entries(info?.metadata ?? {})).toEqual([[name, "kept"]]);
  } finally {
    await client.close();
  }
});

it("Queries with such names name no parameter", async () => {
  for (const name of ["__proto__", "constructor", "toString"]) {
    const answer = await served.call("GET", `/api/v1/objects?${name}=x`);
    expect([name, answer.status]).toEqual([name, 400]);
  }
  const body = '{"from":"a","to":"b","__proto__":{"overwrite":true}}';
  const headers = { "content-type": "application/json" };
  expect((await served.call("POST", "/api/v1/rename", { body, headers })).status).toBe(400);
});
