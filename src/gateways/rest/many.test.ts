import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AccessGrant } from "../../coordinator/index.ts";
import { flakyStore } from "../../coordinator/testing/flaky-store.ts";
import { rigCtx } from "../../coordinator/testing/rig.ts";
import { tokenOf } from "../../security/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { type Got, type ServedRest, serveRest } from "./testing/served-rest.ts";

/** Copies and deletes for which no byte goes through the client. */

let rest: ServedRest;
const operator = "the operator's key";
const store = flakyStore(createMemoryStore());
beforeEach(async () => {
  rest = await serveRest({ apiKey: operator, rig: { sites: [{ name: "local", role: "primary", store }] } });
});
afterEach(async () => await rest.close());

async function post(path: string, body: unknown, key = operator): Promise<Got> {
  const headers = { "x-globalfs-api-key": key, "content-type": "application/json" };
  return await rest.call("POST", `/api/v1/${path}`, { headers, body: JSON.stringify(body) });
}

async function token(...grants: readonly AccessGrant[]): Promise<string> {
  return tokenOf(await rest.rig.coordinator.createAccessKey(rigCtx, { user: "somebody", grants }));
}

describe("a copy", () => {
  it("has the source's bytes, type and metadata, and replaces nothing unless it may", async () => {
    await rest.rig.put("c/a", "bytes", { contentType: "text/x", metadata: { one: "1" } });
    await rest.rig.put("c/there", "other");
    const made = await post("copy", { from: "c/a", to: "c/b" });
    expect([made.status, made.json()]).toMatchObject([201, { key: "c/b", size: 5, content_type: "text/x" }]);
    expect(await rest.rig.read("c/b")).toBe("bytes");
    const { meta } = await rest.rig.coordinator.headObject(rigCtx, "c/b");
    expect(meta.metadata).toEqual({ one: "1" });
    const refused = await post("copy", { from: "c/a", to: "c/there" });
    expect([refused.status, refused.json().code]).toEqual([409, "AlreadyExists"]);
    expect(await rest.rig.read("c/there")).toBe("other");
    expect((await post("copy", { from: "c/a", to: "c/there", overwrite: true })).status).toBe(201);
    expect(await rest.rig.read("c/there")).toBe("bytes");
    expect((await post("copy", { from: "c/none", to: "c/x" })).status).toBe(404);
    expect((await post("copy", { from: "c/a", to: "../x" })).status).toBe(400);
  });

  it("needs the right to read there and to write here, and leads past no policy", async () => {
    await rest.rig.put("in/a", "1");
    await rest.rig.put("out/a", "2");
    const key = await token({ path: "in", role: "reader" }, { path: "mine", role: "writer" });
    expect((await post("copy", { from: "in/a", to: "mine/a" }, key)).status).toBe(201);
    for (const [from, to] of [
      ["out/a", "mine/b"],
      ["out/none", "mine/b"],
      ["in/a", "in/b"],
      ["in/a", "out/b"],
    ])
      expect((await post("copy", { from, to }, key)).status).toBe(403);
    const policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Deny", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::out/*" }],
    });
    await rest.rig.coordinator.createBucket(rigCtx, { name: "out", owner: "olga" }).catch(() => undefined);
    await rest.rig.coordinator.changeBucket(rigCtx, "out", { documents: { policy } });
    expect((await post("copy", { from: "out/a", to: "mine/b" })).status).toBe(403);
  });
});

describe("a delete of many", () => {
  it("tells of each key what became of it", async () => {
    for (const name of ["a", "b", "dir/x"]) await rest.rig.put(`d/${name}`, name);
    const done = await post("delete", { keys: ["d/a", "d/none", "d/../x", "d/dir/x"] });
    expect(done.status).toBe(207);
    expect(done.json().results).toMatchObject([
      { key: "d/a", deleted: true },
      { key: "d/none", deleted: false },
      { key: "d/../x", deleted: false, code: "InvalidKey", error: expect.stringContaining("..") },
      { key: "d/dir/x", deleted: true },
    ]);
    const { objects } = await rest.rig.coordinator.listObjects(rigCtx, { prefix: "d/", limit: 10 });
    expect(objects.map(({ key }) => key)).toEqual(["d/b"]);
    expect((await post("delete", { keys: ["d/b", "d/"] })).status).toBe(200);
  });

  it("refuses what the key may not delete, and deletes the rest", async () => {
    for (const name of ["mine/a", "other/a"]) await rest.rig.put(name, name);
    const key = await token({ path: "mine", role: "writer" });
    const done = await post("delete", { keys: ["other/a", "mine/a", "other/none", "other/"] }, key);
    expect([done.status, done.json().results.map((each: { code?: string }) => each.code)]).toEqual([
      207,
      ["PermissionDenied", undefined, "PermissionDenied", "PermissionDenied"],
    ]);
    expect(await rest.rig.read("other/a")).toBe("other/a");
    await expect(rest.rig.read("mine/a")).rejects.toThrow("no object");
  });

  it("takes one to a thousand keys", async () => {
    expect((await post("delete", { keys: [] })).status).toBe(400);
    expect((await post("delete", { keys: Array.from({ length: 1_001 }, () => "a") })).status).toBe(400);
    expect((await post("delete", { keys: Array.from({ length: 1_000 }, (_, index) => `many/${index}`) })).status).toBe(
      200,
    );
  });

  it("says of a site that does not answer what the delete of one says", async () => {
    await rest.rig.put("s/a", "1");
    store.failing.add("delete");
    const done = await post("delete", { keys: ["s/a"] });
    store.failing.delete("delete");
    expect([done.status, done.json().results[0]]).toMatchObject([
      207,
      { key: "s/a", deleted: false, code: "Unavailable", error: expect.stringContaining("local") },
    ]);
  });
});
