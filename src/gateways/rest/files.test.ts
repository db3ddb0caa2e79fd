import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import type { AccessGrant } from "../../coordinator/index.ts";
import { putForeign, rigCtx } from "../../coordinator/testing/rig.ts";
import { tokenOf } from "../../security/index.ts";
import type { Store } from "../../stores/index.ts";
import { type Got, type ServedRest, serveRest } from "./testing/served-rest.ts";

/** What REST shows and changes of files beside their content, and for whom. */

let rest: ServedRest;
const operator = "the operator's key";
beforeAll(async () => {
  rest = await serveRest({ apiKey: operator });
});
afterAll(async () => await rest.close());

async function call(method: string, path: string, body?: unknown, key = operator): Promise<Got> {
  return await rest.call(method, `/api/v1/${path}`, {
    headers: {
      "x-globalfs-api-key": key,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function put(path: string, body = "x", key = operator): Promise<number> {
  const headers = { "x-globalfs-api-key": key };
  return (await rest.call("PUT", `/api/v1/objects/${path}`, { headers, body })).status;
}

async function codeOf(method: string, path: string, body?: unknown, key?: string): Promise<[number, string]> {
  const got = await call(method, path, body, key);
  return [got.status, got.status < 300 ? "" : got.json().code];
}

async function stat(path: string): Promise<Record<string, unknown>> {
  const got = await call("GET", `stat?path=${path}`);
  expect([path, got.status]).toEqual([path, 200]);
  return got.json();
}

async function token(...grants: readonly AccessGrant[]): Promise<string> {
  return tokenOf(await rest.rig.coordinator.createAccessKey(rigCtx, { user: "somebody", grants }));
}

describe("stat", () => {
  it("tells of objects, directories and the root what a file system shows", async () => {
    await put("s/a", "12345");
    expect(await stat("s/a")).toMatchObject({ path: "s/a", kind: "file", mode: "0644", uid: 0, links: 1, size: 5 });
    expect(await stat("s")).toMatchObject({ kind: "directory", mode: "0755", links: 2 });
    expect(await stat("s/")).toMatchObject({ path: "s/", kind: "directory" });
    expect(await stat("")).toMatchObject({ path: "", kind: "directory", inode: 1 });
    expect(await codeOf("GET", "stat?path=s/none")).toEqual([404, "NotFound"]);
    expect(await codeOf("GET", "stat?path=s/a/b")).toEqual([409, "NotADirectory"]);
    expect(await codeOf("GET", "stat?path=s/a/")).toEqual([409, "NotADirectory"]);
    for (const odd of ["s/../s/a", "s//a", "/s/a", "s/./a", "%00"])
      expect(await codeOf("GET", `stat?path=${odd}`)).toEqual([400, "InvalidArgument"]);
    expect(await codeOf("GET", `stat?path=${"x".repeat(256)}`)).toEqual([400, "KeyTooLong"]);
    expect(await codeOf("GET", "stat")).toEqual([400, "InvalidArgument"]);
    expect(await codeOf("GET", "stat?path=%f")).toEqual([400, "InvalidArgument"]);
  });

  it("finds what only a site has", async () => {
    await putForeign(rest.rig.stores["local"] as Store, "theirs/deep/x", "abc");
    expect(await stat("theirs/deep/x")).toMatchObject({ size: 3 });
  });

  it("takes names that are no UTF-8 as their bytes, and tells them in JSON as lone surrogates", async () => {
    expect((await call("POST", "mkdir", { path: "odd\udcff" })).json()).toMatchObject({ path: "odd\udcff" });
    expect(await stat("odd%FF")).toMatchObject({ path: "odd\udcff", kind: "directory" });
    const { entries } = (await call("GET", "entries?path=")).json();
    expect(entries.map((each: { path: string }) => each.path)).toContain("odd\udcff");
  });
});

describe("what is made", () => {
  it("is a directory, with those above it where that is asked for", async () => {
    const made = await call("POST", "mkdir", { path: "m", mode: "1700", uid: 5, gid: 6 });
    expect([made.status, made.json()]).toMatchObject([201, { kind: "directory", mode: "1700", uid: 5, gid: 6 }]);
    expect(await codeOf("POST", "mkdir", { path: "m" })).toEqual([409, "AlreadyExists"]);
    expect(await codeOf("POST", "mkdir", { path: "m/a/b" })).toEqual([404, "NotFound"]);
    expect(await codeOf("POST", "mkdir", { path: "m/a/b", parents: true })).toEqual([201, ""]);
    expect(await codeOf("POST", "mkdir", { path: "m/a/b", parents: true })).toEqual([201, ""]);
    expect(await stat("m")).toMatchObject({ mode: "1700", links: 3 });
    expect(await codeOf("POST", "mkdir", { path: ".globalfs" })).toEqual([400, "InvalidArgument"]);
    expect(await codeOf("POST", "mkdir", { path: "m/c", mode: "99" })).toEqual([400, "InvalidArgument"]);
    await put("m/file");
    expect(await codeOf("POST", "mkdir", { path: "m/file/x", parents: true })).toEqual([409, "NotADirectory"]);
  });

  it("is a symbolic link, which is no object and is followed nowhere here", async () => {
    await put("l/target", "bytes");
    expect((await call("POST", "symlink", { path: "l/link", target: "target" })).json()).toMatchObject({
      kind: "symlink",
      target: "target",
      mode: "0777",
    });
    await call("POST", "symlink", { path: "l/dir", target: "../l" });
    expect(await stat("l/link")).toMatchObject({ kind: "symlink", size: 6 });
    expect(await codeOf("GET", "stat?path=l/dir/target")).toEqual([409, "NotADirectory"]);
    expect(await codeOf("GET", "objects/l/link")).toEqual([404, "NotFound"]);
    expect(await codeOf("GET", "objects/l/dir/target")).toEqual([404, "NotFound"]);
    expect(await put("l/link")).toBe(409);
    const keys = async (query: string): Promise<unknown> =>
      (await call("GET", `objects?prefix=l/${query}`))
        .json()
        .map(({ key, kind }: { key: string; kind?: string }) => [key, ...(kind === undefined ? [] : [kind])]);
    expect(await keys("")).toEqual([["l/"], ["l/target"]]);
    expect(await keys("&others=true")).toEqual([["l/"], ["l/dir", "symlink"], ["l/link", "symlink"], ["l/target"]]);
    expect(await codeOf("DELETE", "objects/l/link")).toEqual([204, ""]);
    expect(await codeOf("GET", "stat?path=l/link")).toEqual([404, "NotFound"]);
    expect(await stat("l/target")).toMatchObject({ size: 5 });
  });

  it("is one more name, of which a PUT and a DELETE leave the others", async () => {
    await put("h/a", "shared");
    expect((await call("POST", "link", { from: "h/a", to: "h/b" })).json()).toMatchObject({ path: "h/b", links: 2 });
    await call("POST", "link", { from: "h/a", to: "h/c" });
    await call("POST", "attributes", { path: "h/c", mode: "0600" });
    expect(await stat("h/a")).toMatchObject({ mode: "0600", links: 3 });
    expect(await put("h/a", "own")).toBe(201);
    expect(await codeOf("DELETE", "objects/h/c")).toEqual([204, ""]);
    const bytes = async (path: string): Promise<string> => (await call("GET", `objects/${path}`)).bytes.toString();
    expect([await bytes("h/a"), await bytes("h/b")]).toEqual(["own", "shared"]);
    expect([await stat("h/a"), await stat("h/b")]).toMatchObject([
      { links: 1, mode: "0600" },
      { links: 1, mode: "0600" },
    ]);
    await rest.rig.settled();
    expect([await bytes("h/a"), await bytes("h/b")]).toEqual(["own", "shared"]);
    expect(await codeOf("POST", "link", { from: "h", to: "h2" })).toEqual([403, "NotPermitted"]);
    expect(await codeOf("POST", "link", { from: "h/none", to: "h/d" })).toEqual([404, "NotFound"]);
  });
});

describe("attributes", () => {
  it("change by what is given, to the nanosecond", async () => {
    await put("t/a");
    const changed = await call("POST", "attributes", {
      path: "t/a",
      mode: "4750",
      uid: 7,
      gid: 8,
      modified_at: "2026-01-31T12:00:00.123456789Z",
      accessed_at: "2026-01-31T14:00:00+02:00",
    });
    expect(changed.json()).toMatchObject({
      mode: "4750",
      uid: 7,
      gid: 8,
      modified_at: "2026-01-31T12:00:00.123456789Z",
      accessed_at: "2026-01-31T12:00:00.000Z",
    });
    await call("POST", "attributes", { path: "t/a", modified_at: "now" });
    expect(Date.parse((await stat("t/a"))["modified_at"] as string)).toBeGreaterThan(Date.now() - 60_000);
    for (const wrong of [
      { mode: "0888" },
      { uid: -1 },
      { modified_at: "tomorrow" },
      { modified_at: "2026-13-01T00:00:00Z" },
    ])
      expect(await codeOf("POST", "attributes", { path: "t/a", ...wrong })).toEqual([400, "InvalidArgument"]);
  });

  it("do not let other content run as the owner", async () => {
    await put("t/run", "one");
    await call("POST", "attributes", { path: "t/run", mode: "6755" });
    await put("t/run", "two");
    expect(await stat("t/run")).toMatchObject({ mode: "0755" });
  });

  it("may be extended ones, of the classes that there are", async () => {
    await put("x/a");
    const value = Buffer.from([0, 255, 1]).toString("base64");
    const set = async (name: string, more: object = {}): Promise<[number, string]> =>
      await codeOf("POST", "xattrs", { path: "x/a", name, value, ...more });
    expect(await set("user.one")).toEqual([204, ""]);
    expect(await set("user.one", { only: "create" })).toEqual([409, "AlreadyExists"]);
    expect(await set("user.two", { only: "replace" })).toEqual([404, "NoAttribute"]);
    expect(await set("system.posix_acl_access")).toEqual([501, "Unsupported"]);
    expect(await set("user.bad", { value: "?" })).toEqual([400, "InvalidArgument"]);
    expect((await call("GET", "xattrs?path=x/a")).json()).toEqual({ path: "x/a", attributes: { "user.one": value } });
    expect(await codeOf("DELETE", "xattrs?path=x/a&name=user.one")).toEqual([204, ""]);
    expect(await codeOf("DELETE", "xattrs?path=x/a&name=user.one")).toEqual([404, "NoAttribute"]);
  });
});

describe("statfs", () => {
  it("tells what is there, what may still come, and what sites have, to who may see the whole", async () => {
    await put("space/a", "12345");
    await call("POST", "quota", { path: "space", max_bytes: 100, max_inodes: 4 });
    expect((await call("GET", "statfs?path=space/a")).json()).toEqual({
      path: "space/a",
      bytes: 5,
      inodes: 1,
      older_bytes: 0,
      max_bytes: 100,
      max_inodes: 4,
      left_bytes: 95,
      left_inodes: 3,
      sites: [
        { site: "local", role: "primary", required: true },
        { site: "cloud", role: "burst", required: false },
      ],
    });
    expect((await call("GET", "statfs")).json()).not.toHaveProperty("left_bytes");
    expect(await codeOf("GET", "statfs?path=space/none")).toEqual([404, "NotFound"]);
    const reader = await token({ path: "space", role: "admin" });
    expect((await call("GET", "statfs?path=space", undefined, reader)).status).toBe(403);
  });
});

describe("entries", () => {
  it("come in pages", async () => {
    for (const name of ["a", "b", "c"]) await put(`e/${name}`, name);
    await put("e/b/below");
    const seen: string[] = [];
    let after = "";
    for (;;) {
      const page = (await call("GET", `entries?path=e&limit=2${after}`)).json();
      seen.push(...page.entries.map(({ path, kind }: { path: string; kind: string }) => `${path} ${kind}`));
      if (page.next === undefined) break;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
    expect(seen).toEqual(["e/a file", "e/b directory", "e/c file"]);
    expect(await codeOf("GET", "entries?path=e/a")).toEqual([409, "NotADirectory"]);
  });

  it("have what only sites have, and say which site could not be asked", async () => {
    const store = rest.rig.stores["cloud"] as Store;
    await putForeign(store, "mixed/theirs", "x");
    await put("mixed/ours");
    const whole = await call("GET", "entries?path=mixed");
    expect([whole.status, whole.json()]).toMatchObject([
      200,
      { entries: [{ path: "mixed/ours" }, { path: "mixed/theirs" }], failed_sites: [] },
    ]);
    const { list } = store;
    store.list = async () => await Promise.reject(new GfsError("Unavailable", "The site is away."));
    const part = await call("GET", "entries?path=mixed");
    store.list = list;
    expect([part.status, part.json()]).toMatchObject([
      207,
      { failed_sites: [{ site: "cloud", error: "The site is away." }] },
    ]);
  });
});

describe("who may", () => {
  const refused = [403, "PermissionDenied"];

  it("look is who may read there, and change who may write, at both ends", async () => {
    await put("data/in/a");
    await put("data/secret/b");
    const [reader, writer] = [
      await token({ path: "data/in", role: "reader" }),
      await token({ path: "data/in", role: "writer" }),
    ];
    for (const [address, status] of [
      ["stat?path=data/in/a", 200],
      ["stat?path=data/in", 200],
      ["stat?path=data/in/none", 404],
      ["xattrs?path=data/in/a", 200],
      ["entries?path=data/in", 200],
      ["stat?path=data", 403],
      ["stat?path=data/secret/b", 403],
      ["stat?path=data/secret/none", 403],
      ["stat?path=", 403],
      ["entries?path=", 403],
      ["entries?path=data/secret", 403],
      ["entries?path=data", 403],
      ["xattrs?path=data/secret/b", 403],
    ] as const)
      expect([address, (await call("GET", address, undefined, reader)).status]).toEqual([address, status]);
    for (const [address, body] of [
      ["mkdir", { path: "data/in/d" }],
      ["symlink", { path: "data/in/l", target: "x" }],
      ["link", { from: "data/in/a", to: "data/in/b" }],
      ["attributes", { path: "data/in/a", mode: "0600" }],
      ["xattrs", { path: "data/in/a", name: "user.x", value: "" }],
    ] as const) {
      expect([address, await codeOf("POST", address, body, reader)]).toEqual([address, refused]);
      expect([address, (await call("POST", address, body, writer)).status]).toEqual([
        address,
        expect.toBeOneOf([200, 201, 204]),
      ]);
    }
    for (const [address, body] of [
      ["mkdir", { path: "data/secret/d" }],
      ["mkdir", { path: "new-bucket" }],
      ["mkdir", { path: "data/in/../secret/d", parents: true }],
      ["symlink", { path: "data/secret/l", target: "x" }],
      ["link", { from: "data/secret/b", to: "data/in/c" }],
      ["link", { from: "data/secret/none", to: "data/in/c" }],
      ["link", { from: "data/in/a", to: "data/secret/c" }],
      ["attributes", { path: "data/secret/b", mode: "0600" }],
      ["xattrs", { path: "data/secret/b", name: "user.x", value: "" }],
    ] as const)
      expect([address, body, (await call("POST", address, body, writer)).status]).toEqual([
        address,
        body,
        "path" in body && body.path.includes("..") ? 400 : 403,
      ]);
    expect(await codeOf("DELETE", "xattrs?path=data/secret/b&name=user.x", undefined, writer)).toEqual(refused);
  });

  it("link to what he may only read is nobody: he could change its attributes by the new name", async () => {
    await put("shared/a");
    const key = await token({ path: "shared", role: "reader" }, { path: "mine", role: "writer" });
    await put("mine/x");
    expect(await codeOf("POST", "link", { from: "shared/a", to: "mine/a" }, key)).toEqual(refused);
  });

  it("give files away, let them run as their owner and set what kernels heed, is who administers the path", async () => {
    await put("run/a");
    const [writer, admin] = [await token({ path: "run", role: "writer" }), await token({ path: "run", role: "admin" })];
    for (const [address, body] of [
      ["attributes", { path: "run/a", uid: 1 }],
      ["attributes", { path: "run/a", gid: 1 }],
      ["attributes", { path: "run/a", mode: "4755" }],
      ["attributes", { path: "run/a", mode: "2755" }],
      ["xattrs", { path: "run/a", name: "security.capability", value: "AAAA" }],
      ["xattrs", { path: "run/a", name: "trusted.x", value: "AAAA" }],
      ["mkdir", { path: "run/d", uid: 1 }],
      ["symlink", { path: "run/l", target: "x", gid: 1 }],
    ] as const) {
      expect([body, await codeOf("POST", address, body, writer)]).toEqual([body, refused]);
      expect([body, (await call("POST", address, body, admin)).status]).toEqual([
        body,
        expect.toBeOneOf([200, 201, 204]),
      ]);
    }
  });

  it("is held by policies of buckets, for administrators, too", async () => {
    await put("closed/a");
    const policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { Effect: "Deny", Principal: "*", Action: ["s3:GetObject", "s3:PutObject"], Resource: "arn:aws:s3:::closed/*" },
        { Effect: "Deny", Principal: "*", Action: "s3:ListBucket", Resource: "arn:aws:s3:::closed" },
      ],
    });
    await rest.rig.coordinator.createBucket(rigCtx, { name: "closed", owner: "olga" });
    await rest.rig.coordinator.changeBucket(rigCtx, "closed", { documents: { policy } });
    for (const address of ["stat?path=closed/a", "xattrs?path=closed/a", "entries?path=closed"])
      expect([address, await codeOf("GET", address)]).toEqual([address, refused]);
    for (const [address, body] of [
      ["mkdir", { path: "closed/d" }],
      ["symlink", { path: "closed/l", target: "x" }],
      ["link", { from: "closed/a", to: "elsewhere" }],
      ["attributes", { path: "closed/a", mode: "0600" }],
      ["xattrs", { path: "closed/a", name: "user.x", value: "" }],
    ] as const)
      expect([address, await codeOf("POST", address, body)]).toEqual([address, refused]);
  });
});
