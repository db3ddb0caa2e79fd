import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AccessGrant } from "../../../coordinator/index.ts";
import { rigCtx } from "../../../coordinator/testing/rig.ts";
import { tokenOf } from "../../../security/index.ts";
import { type Got, type ServedRest, serveRest } from "../testing/served-rest.ts";

/** What keys with grants may do through REST, and what they are told of the rest. */

let rest: ServedRest;
const operator = "the operator's key";
beforeAll(async () => {
  rest = await serveRest({
    apiKey: operator,
    rig: {
      sites: [
        { name: "local", role: "primary" },
        { name: "cloud", role: "burst" },
      ],
    },
  });
  for (const path of [
    "data/reports/a",
    "data/reports/deep/b",
    "data/reports2/c",
    "data/secret/d",
    "other/e",
    "top-file",
  ])
    await rest.rig.put(path, `bytes of ${path}`);
});
afterAll(async () => await rest.close());

let serial = 0;
async function token(grants: readonly AccessGrant[], user?: string, lifetimeMs?: number): Promise<string> {
  serial += 1;
  const key = await rest.rig.coordinator.createAccessKey(rigCtx, {
    user: user ?? `user-${serial}`,
    grants,
    ...(lifetimeMs === undefined ? {} : { lifetimeMs }),
  });
  return tokenOf(key);
}

const reader = async (path: string): Promise<string> => await token([{ path, role: "reader" }]);
const writer = async (path: string): Promise<string> => await token([{ path, role: "writer" }]);
const admin = async (path: string, user?: string): Promise<string> => await token([{ path, role: "admin" }], user);

async function call(key: string, method: string, path: string, body?: unknown): Promise<Got> {
  return await rest.call(method, `/api/v1/${path}`, {
    headers: {
      "x-globalfs-api-key": key,
      "x-globalfs-client": "test",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}
const status = async (key: string, method: string, path: string, body?: unknown): Promise<number> =>
  (await call(key, method, path, body)).status;
const keysOf = (got: Got): unknown => got.json().map((object: { key: string }) => object.key);

async function deny(bucket: string, statement: object): Promise<void> {
  const policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Deny",
        Principal: "*",
        Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
        ...statement,
      },
    ],
  });
  await rest.rig.put(`${bucket}/keep`, "x");
  await rest.rig.coordinator.createBucket(rigCtx, { name: bucket, owner: "olga" }).catch(() => undefined);
  await rest.rig.coordinator.changeBucket(rigCtx, bucket, { documents: { policy } });
}

/** The address goes out as it is; clients tidy it up. */
async function rawStatus(key: string, path: string): Promise<string | undefined> {
  const said = await rest.talk(
    `GET /api/v1/${path} HTTP/1.1\r\nHost: localhost\r\nX-GlobalFS-API-Key: ${key}\r\nConnection: close\r\n\r\n`,
  ).ended;
  return /^HTTP\/1\.1 (\d+)/.exec(said)?.[1];
}

describe("a reader of a path", () => {
  it("reads there and nowhere else, and writes nothing", async () => {
    const key = await reader("data/reports");
    expect((await call(key, "GET", "objects/data/reports/a")).bytes.toString()).toBe("bytes of data/reports/a");
    expect(await status(key, "HEAD", "objects/data/reports/deep/b")).toBe(200);
    expect(await status(key, "GET", "objects/data/reports/missing")).toBe(404);
    expect(await status(key, "PUT", "objects/data/reports/a", "new")).toBe(403);
    expect(await status(key, "DELETE", "objects/data/reports/a")).toBe(403);
    for (const path of ["data/reports2/c", "data/secret/d", "other/e", "top-file", "data/missing", "data", "data/"])
      for (const method of ["GET", "HEAD", "PUT", "DELETE"])
        expect(await status(key, method, `objects/${path}`)).toBe(403);
  });

  it("is told the same of what is there and what is not", async () => {
    const key = await reader("data/reports");
    const there = (await call(key, "GET", "objects/data/secret/d")).json();
    const missing = (await call(key, "GET", "objects/data/secret/nothing")).json();
    expect({ ...there, request_id: "" }).toEqual({ ...missing, request_id: "" });
    expect(await status(key, "GET", "explain/data/secret/d")).toBe(403);
    expect(await status(key, "GET", "explain/data/secret/nothing")).toBe(403);
    expect(await status(key, "GET", "explain/data/reports/a")).toBe(200);
  });

  it("gets nowhere by dots, doubled slashes, encoded slashes, another case or another form of Unicode", async () => {
    const key = await reader("data/reports");
    const umlaut = await reader("data/\u00fc");
    for (const path of [
      "data/reports/../secret/d",
      "data/reports/..%2fsecret/d",
      "data/reports//../secret/d",
      "/data/secret/d",
      "%2Fdata/secret/d",
      "Data/reports/a",
      "DATA/REPORTS/a",
      "data%2Fsecret%2Fd",
      "data/secret/d%00",
    ])
      expect([path, await rawStatus(key, `objects/${path}`)]).toEqual([path, expect.stringMatching(/^40[03]$/)]);
    expect(await status(key, "GET", "objects/data%2Freports%2Fa")).toBe(200);
    expect(await status(umlaut, "GET", `objects/data/${encodeURIComponent("u\u0308")}/x`)).toBe(403);
    expect(await status(umlaut, "GET", `objects/data/${encodeURIComponent("\u00fc")}/x`)).toBe(404);
  });

  it("sees in listings what it may, and above that only the way", async () => {
    const key = await reader("data/reports");
    expect(keysOf(await call(key, "GET", "objects"))).toEqual(["data/reports/a", "data/reports/deep/b"]);
    expect(keysOf(await call(key, "GET", "objects?prefix=data/"))).toEqual(["data/reports/a", "data/reports/deep/b"]);
    expect(keysOf(await call(key, "GET", "objects?prefix=data/rep"))).toEqual([
      "data/reports/a",
      "data/reports/deep/b",
    ]);
    expect((await call(key, "GET", "objects?delimiter=/")).json()).toMatchObject({ objects: [], prefixes: ["data/"] });
    expect((await call(key, "GET", "objects?delimiter=/&prefix=data/")).json()).toMatchObject({
      objects: [],
      prefixes: ["data/reports/"],
    });
    const below = (await call(key, "GET", "objects?delimiter=/&prefix=data/reports/")).json();
    expect([below.prefixes, below.objects.length]).toEqual([["data/reports/deep/"], 1]);
    expect(await status(key, "GET", "objects?prefix=data/secret/")).toBe(403);
    expect(await status(key, "GET", "objects?prefix=nothing/at/all/")).toBe(403);
    expect(keysOf(await call(key, "GET", "objects?prefix=oth"))).toEqual([]);
  });

  it("pages through several grants in the order of keys", async () => {
    const key = await token([
      { path: "other", role: "reader" },
      { path: "data/reports/deep", role: "writer" },
      { path: "data/reports", role: "reader" },
      { path: "top-file", role: "reader" },
    ]);
    const seen: string[] = [];
    let continuation: string | undefined;
    do {
      const query = continuation === undefined ? "" : `&continuation=${continuation}`;
      const page = (await call(key, "GET", `objects?envelope=true&limit=1${query}`)).json();
      seen.push(...page.objects.map((object: { key: string }) => object.key));
      ({ continuation } = page);
    } while (continuation !== undefined);
    expect(seen).toEqual(["data/reports/a", "data/reports/deep/b", "other/e", "top-file"]);
    expect((await call(key, "GET", "objects?delimiter=/")).json()).toMatchObject({
      objects: [expect.objectContaining({ key: "top-file" })],
      prefixes: ["data/", "other/"],
    });
    expect((await call(key, "GET", "usage")).json()).toMatchObject({ objects: 4 });
  });

  it("is told how much there is only of what it may list", async () => {
    const key = await reader("data/reports");
    expect((await call(key, "GET", "usage")).json()).toMatchObject({ objects: 2 });
    expect((await call(key, "GET", "usage?prefix=data/reports/deep/")).json()).toMatchObject({ objects: 1 });
    expect(await status(key, "GET", "usage?prefix=data/secret/")).toBe(403);
  });

  it("operates nothing", async () => {
    const key = await reader("data/reports");
    for (const [method, path, body] of [
      ["GET", "info"],
      ["GET", "sites"],
      ["POST", "sites", { name: "x", role: "backup", uri: "memory://" }],
      ["DELETE", "sites/local"],
      ["POST", "sites/local/import", {}],
      ["POST", "jobs/pause"],
      ["POST", "jobs/resume"],
      ["POST", "replicate", { key: "data/reports/a", from: "local", to: "cloud" }],
      ["GET", "jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV"],
      ["POST", "jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/cancel"],
      ["POST", "keys", { user: "x", grants: [{ path: "data/reports", role: "reader" }] }],
      ["DELETE", "keys/GFSKAAAAAAAAAAAAAAAA"],
      ["GET", "keys/GFSKAAAAAAAAAAAAAAAA"],
    ] as const)
      expect([path, await status(key, method, path, body)]).toEqual([path, 403]);
    const metrics = await rest.call("GET", "/metrics", { headers: { "x-globalfs-api-key": key } });
    expect(metrics.status).toBe(403);
    expect((await call(key, "GET", "openapi.json")).status).toBe(200);
  });
});

describe("a reader of everything", () => {
  it("sees how the coordinator is, and changes nothing", async () => {
    const key = await reader("");
    for (const path of ["info", "sites", "jobs", "usage", "objects"]) expect(await status(key, "GET", path)).toBe(200);
    expect(await status(key, "POST", "jobs/pause")).toBe(403);
    expect(await status(key, "DELETE", "objects/other/e")).toBe(403);
  });
});

describe("a rename", () => {
  it("needs to take away here and to put there", async () => {
    const key = await writer("data/in");
    await rest.rig.put("data/in/one", "1");
    await rest.rig.put("data/in/dir/two", "2");
    const rename = async (from: string, to: string): Promise<number> =>
      await status(key, "POST", "rename", { from, to });
    expect(await rename("data/in/one", "data/secret/one")).toBe(403);
    expect(await rename("data/secret/d", "data/in/d")).toBe(403);
    expect(await rename("data/secret/nothing", "data/in/d")).toBe(403);
    expect(await rename("data/in/dir/", "data/secret/dir/")).toBe(403);
    expect(await rename("data/secret/", "data/in/secret/")).toBe(403);
    expect(await rename("data/in/dir/", "data/in2/")).toBe(403);
    expect(await rename("data/in/one", "data/in/uno")).toBe(204);
    expect(await rename("data/in/dir/", "data/in/folder/")).toBe(204);
  });

  it("of a directory takes nothing past a policy that closes something in it", async () => {
    await deny("closed", { Action: "s3:GetObject", Resource: "arn:aws:s3:::closed/inner/secret*" });
    await rest.rig.put("closed/inner/secret-1", "s");
    await rest.rig.put("closed/outer/x", "o");
    const key = await writer("");
    const rename = async (who: string, from: string, to: string): Promise<number> =>
      await status(who, "POST", "rename", { from, to });
    expect(await rename(key, "closed/inner/", "open/")).toBe(403);
    expect(await rename(key, "closed/", "open/")).toBe(403);
    expect(await rename(operator, "closed/", "open/")).toBe(403);
    expect(await rename(key, "closed/inner/secret-1", "open/secret")).toBe(403);
    expect(await rename(key, "closed/outer/", "closed/outside/")).toBe(204);
  });
});

describe("a bucket's policy", () => {
  it("denies through REST what it denies through S3, administrators included", async () => {
    await deny("denied", { Action: ["s3:GetObject", "s3:DeleteObject"] });
    for (const key of [operator, await admin(""), await reader("denied")]) {
      expect(await status(key, "GET", "objects/denied/keep")).toBe(403);
      expect(await status(key, "HEAD", "objects/denied/keep")).toBe(403);
      expect(await status(key, "GET", "explain/denied/keep")).toBe(403);
      expect(await status(key, "DELETE", "objects/denied/keep")).toBe(403);
    }
    expect(await status(operator, "PUT", "objects/denied/new", "x")).toBe(201);
  });

  it("closes a listing, also one that begins above the bucket", async () => {
    await deny("unlisted", { Action: "s3:ListBucket" });
    await rest.rig.put("unlisted/two", "x");
    expect(await status(operator, "GET", "objects?prefix=unlisted/")).toBe(403);
    const seen: string[] = [];
    let continuation: string | undefined;
    do {
      const query = continuation === undefined ? "" : `&continuation=${continuation}`;
      const page = (await call(operator, "GET", `objects?envelope=true&limit=2${query}`)).json();
      seen.push(...page.objects.map((object: { key: string }) => object.key));
      ({ continuation } = page);
      expect(Buffer.from(continuation ?? "", "base64url").toString()).not.toMatch(/unlisted\/[a-z]/);
    } while (continuation !== undefined);
    expect(seen).toContain("top-file");
    expect(seen.filter((key) => key.startsWith("unlisted/"))).toEqual([]);
  });

  it("lets in whom it allows, and conditions see the request as it came", async () => {
    await rest.rig.put("shared/a", "shared");
    await rest.rig.coordinator.createBucket(rigCtx, { name: "shared", owner: "olga" });
    const policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: { AWS: "arn:aws:iam:::user/bob" },
          Action: "s3:GetObject",
          Resource: "arn:aws:s3:::shared/*",
        },
        {
          Effect: "Deny",
          Principal: "*",
          Action: "s3:GetObject",
          Resource: "arn:aws:s3:::shared/*",
          Condition: { NotIpAddress: { "aws:SourceIp": "127.0.0.0/8" } },
        },
      ],
    });
    await rest.rig.coordinator.changeBucket(rigCtx, "shared", { documents: { policy } });
    const bob = await token([{ path: "", role: "user" }], "bob");
    expect(await status(bob, "GET", "objects/shared/a")).toBe(200);
    expect(await status(bob, "GET", "objects/shared/missing")).toBe(403);
    expect(await status(bob, "PUT", "objects/shared/a", "x")).toBe(403);
    expect(await status(bob, "GET", "objects?prefix=shared/")).toBe(403);
  });
});

describe("a user", () => {
  it("owns through REST what it owns through S3, and what it writes is its own", async () => {
    const bob = await token([{ path: "", role: "user" }], "bob");
    const eve = await token([{ path: "", role: "user" }], "eve");
    await rest.rig.coordinator.createBucket(rigCtx, { name: "bobs", owner: "bob" });
    expect(await status(bob, "PUT", "objects/bobs/x", "mine")).toBe(201);
    expect(await status(bob, "GET", "objects/bobs/x")).toBe(200);
    expect(keysOf(await call(bob, "GET", "objects"))).toEqual(["bobs/", "bobs/x"]);
    expect(await status(eve, "GET", "objects/bobs/x")).toBe(403);
    expect(await status(eve, "PUT", "objects/bobs/x", "hers")).toBe(403);
    expect(await status(eve, "PUT", "objects/nobodys/x", "hers")).toBe(403);
    expect(keysOf(await call(eve, "GET", "objects"))).toEqual([]);
    const { meta } = await rest.rig.coordinator.headObject(rigCtx, "bobs/x");
    expect(meta.details?.owner).toBe("bob");
  });
});

describe("jobs", () => {
  it("are shown to who may read what they are about, and changed by who administers it", async () => {
    expect(await status(operator, "POST", "jobs/pause")).toBe(204);
    await rest.rig.put("data/secret/job", "j");
    await rest.rig.put("data/reports/job", "j");
    const jobOf = async (path: string): Promise<string> => {
      const { jobs } = (await call(operator, "GET", "jobs?limit=1000")).json();
      return jobs.find((job: { key: string; state: string }) => job.key === path && job.state === "waiting")
        .id as string;
    };
    const [secret, own] = [await jobOf("data/secret/job"), await jobOf("data/reports/job")];
    const key = await reader("data/reports");
    const shown: { key: string }[] = [];
    let continuation: string | undefined;
    do {
      const query = continuation === undefined ? "" : `&continuation=${continuation}`;
      const page = (await call(key, "GET", `jobs?limit=1${query}`)).json();
      shown.push(...page.jobs);
      ({ continuation } = page);
    } while (continuation !== undefined);
    expect(shown.map((job) => job.key)).toContain("data/reports/job");
    expect(shown.filter((job) => !job.key.startsWith("data/reports/"))).toEqual([]);
    const missing = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    expect(await status(key, "GET", `jobs/${secret}`)).toBe(403);
    expect(await status(key, "GET", `jobs/${missing}`)).toBe(403);
    expect(await status(operator, "GET", `jobs/${missing}`)).toBe(404);
    expect(await status(key, "GET", `jobs/${own}`)).toBe(200);
    for (const change of ["pause", "resume", "cancel"]) {
      expect(await status(key, "POST", `jobs/${own}/${change}`)).toBe(403);
      expect(await status(await writer("data"), "POST", `jobs/${own}/${change}`)).toBe(403);
      expect(await status(await admin("data/reports"), "POST", `jobs/${secret}/${change}`)).toBe(403);
    }
    expect(await status(await admin("data/reports"), "POST", `jobs/${own}/cancel`)).toBe(200);
    expect(await status(operator, "POST", "jobs/resume")).toBe(204);
  });
});

describe("a token", () => {
  it("is refused with 401 when it is unknown, wrong, revoked or has expired", async () => {
    const key = await rest.rig.coordinator.createAccessKey(rigCtx, {
      user: "tim",
      grants: [{ path: "", role: "admin" }],
    });
    const good = tokenOf(key);
    expect(await status(good, "GET", "info")).toBe(200);
    for (const wrong of [
      `gfs_${key.id}.wrong`,
      `gfs_${key.id}.`,
      `gfs_GFSKAAAAAAAAAAAAAAAA.${key.secret}`,
      key.id,
      key.secret,
      "x",
      "gfs_",
    ])
      expect(await status(wrong, "GET", "info")).toBe(401);
    expect((await rest.call("GET", "/api/v1/info", { headers: { authorization: `Bearer ${good}` } })).status).toBe(200);
    expect((await rest.call("GET", "/api/v1/info")).status).toBe(401);
    await rest.rig.coordinator.deleteAccessKey(rigCtx, key.id);
    expect(await status(good, "GET", "info")).toBe(401);
  });

  it("of a temporary key carries its session token", async () => {
    const key = await rest.rig.coordinator.createAccessKey(rigCtx, {
      user: "tim",
      grants: [{ path: "", role: "reader" }],
      lifetimeMs: 60_000,
    });
    expect(await status(tokenOf(key), "GET", "info")).toBe(200);
    expect(await status(`gfs_${key.id}.${key.secret}`, "GET", "info")).toBe(401);
  });
});

describe("keys", () => {
  it("are made, seen and revoked by who administers the path, within it and no mightier", async () => {
    const ann = await admin("data", "ann");
    const make = async (by: string, body: object): Promise<Got> => await call(by, "POST", "keys", body);
    const made = await make(ann, { user: "ann+reports", grants: [{ path: "data/reports", role: "reader" }] });
    expect(made.status).toBe(201);
    const { id, token: text, secret } = made.json();
    expect(text).toBe(`gfs_${id}.${secret}`);
    expect(await status(text, "GET", "objects/data/reports/a")).toBe(200);
    expect((await call(ann, "GET", `keys/${id}`)).json().created_by).toMatch(/^GFSK/);
    for (const grants of [
      [{ path: "", role: "reader" }],
      [{ path: "dat", role: "reader" }],
      [{ path: "data2", role: "reader" }],
      [
        { path: "data", role: "reader" },
        { path: "other", role: "reader" },
      ],
    ])
      expect((await make(ann, { user: "ann", grants })).status).toBe(403);
    for (const user of ["root", "bob", "ann2", "annie"])
      expect((await make(ann, { user, grants: [{ path: "data", role: "user" }] })).status).toBe(403);
    const stranger = (await make(operator, { user: "zoe", grants: [{ path: "other", role: "reader" }] })).json();
    const listed = (await call(ann, "GET", "keys")).json().map((key: { id: string }) => key.id);
    expect(listed).toContain(id);
    expect(listed).not.toContain(stranger.id);
    expect(await status(ann, "GET", `keys/${stranger.id}`)).toBe(403);
    expect(await status(ann, "DELETE", `keys/${stranger.id}`)).toBe(403);
    expect(await status(text, "GET", "keys/self")).toBe(200);
    expect((await call(text, "GET", "keys")).json()).toHaveLength(1);
    expect(await status(ann, "DELETE", `keys/${id}`)).toBe(204);
    expect(await status(text, "GET", "keys/self")).toBe(401);
  });

  it("that end make none that last longer", async () => {
    const ann = await token([{ path: "data", role: "admin" }], "ann", 3_600_000);
    const grants = [{ path: "data", role: "reader" }];
    expect(await status(ann, "POST", "keys", { user: "ann", grants })).toBe(403);
    expect(await status(ann, "POST", "keys", { user: "ann", grants, expires_in_seconds: 7_200 })).toBe(403);
    expect(await status(ann, "POST", "keys", { user: "ann", grants, expires_in_seconds: 60 })).toBe(201);
  });

  it("are explained: which grant, statement or owner decides", async () => {
    await deny("explained", { Sid: "Closed", Action: "s3:GetObject" });
    const made = (
      await call(operator, "POST", "keys", { user: "kim", grants: [{ path: "explained", role: "writer" }] })
    ).json();
    const check = async (path: string, action = ""): Promise<unknown> =>
      (await call(operator, "GET", `keys/${made.id}/permissions?path=${path}${action}`)).json();
    expect(await check("explained/x")).toMatchObject({
      user: "kim",
      permissions: [
        {
          action: "s3:GetObject",
          allowed: false,
          by: "policy",
          because: "Statement 1 (Closed) of the policy of explained is a Deny.",
        },
        { action: "s3:ListBucket", allowed: true, by: "grant", because: "The key is writer of /explained." },
        { action: "s3:PutObject", allowed: true },
        { action: "s3:DeleteObject", allowed: true },
        { action: "globalfs:ManageKeys", allowed: false, by: "nothing" },
      ],
    });
    expect(await check("other/e", "&action=write")).toMatchObject({ permissions: [{ allowed: false, by: "nothing" }] });
    expect(await check("other/e", "&action=nonsense")).toMatchObject({ code: "InvalidArgument" });
    expect((await call(made.token, "GET", "keys/self/permissions?path=explained/x&action=list")).json()).toMatchObject({
      permissions: [{ allowed: true }],
    });
  });
});
