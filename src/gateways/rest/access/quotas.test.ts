import { afterAll, beforeAll, expect, it } from "vitest";
import { rigCtx } from "../../../coordinator/testing/rig.ts";
import { tokenOf } from "../../../security/index.ts";
import { type Got, type ServedRest, serveRest } from "../testing/served-rest.ts";

/** Who may see what a directory takes, and say how much it may. */

let rest: ServedRest;
beforeAll(async () => {
  rest = await serveRest({ apiKey: "the operator's key" });
  await rest.rig.put("data/in/a", "12345");
  await rest.rig.put("data/out/b", "1");
  await rest.rig.settled();
});
afterAll(async () => await rest.close());

async function tokenFor(role: "reader" | "writer" | "admin", path: string): Promise<string> {
  return tokenOf(
    await rest.rig.coordinator.createAccessKey(rigCtx, {
      user: `${role}-${path.replace("/", "-")}`,
      grants: [{ path, role }],
    }),
  );
}

async function call(key: string, method: string, query: string, body?: object): Promise<Got> {
  const headers = { "x-globalfs-api-key": key, "x-globalfs-client": "test", "content-type": "application/json" };
  return await rest.call(method, `/api/v1/quota${query}`, {
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

it("a quota is seen by who may list all of the directory, and changed by who administers it", async () => {
  const [reader, writer, admin] = [
    await tokenFor("reader", "data/in"),
    await tokenFor("writer", "data/in"),
    await tokenFor("admin", "data/in"),
  ];
  const used = { path: "data/in", bytes: 5, inodes: 1, older_bytes: 0 };
  expect((await call(reader, "GET", "?path=data/in")).json()).toEqual(used);
  for (const path of ["data/out", "data", ""]) expect((await call(reader, "GET", `?path=${path}`)).status).toBe(403);
  for (const key of [reader, writer]) {
    expect((await call(key, "POST", "", { path: "data/in", max_inodes: 9 })).status).toBe(403);
    expect((await call(key, "DELETE", "?path=data/in")).status).toBe(403);
  }
  const set = await call(admin, "POST", "", { path: "data/in/", max_bytes: 6 });
  expect(set.json()).toEqual({ ...used, max_bytes: 6 });
  expect((await call(admin, "POST", "", { path: "data", max_bytes: 6 })).status).toBe(403);
  const put = await rest.call("PUT", "/api/v1/objects/data/in/c", {
    headers: { "x-globalfs-api-key": writer },
    body: "12",
  });
  expect([put.status, put.json()]).toMatchObject([507, { code: "QuotaExceeded" }]);
  expect((await call(admin, "DELETE", "?path=data/in")).status).toBe(204);
  expect((await call("the operator's key", "GET", "")).json()).toMatchObject({ path: "", bytes: 6, inodes: 5 });
  expect((await call("the operator's key", "GET", "?path=data/nowhere")).status).toBe(404);
  for (const body of [{ path: "data", max_bytes: -1 }, { path: "data", max: 1 }, { max_bytes: 1 }])
    expect((await call("the operator's key", "POST", "", body)).status).toBe(400);
});
