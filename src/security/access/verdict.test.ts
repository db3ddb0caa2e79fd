import { describe, expect, it } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { backgroundCtx } from "../../core/context.ts";
import { mayBeForbiddenBelow } from "./below.ts";
import { canonicalUserId } from "./identity.ts";
import { type AccessCatalog, askListing, askOperation, askPath } from "./path-question.ts";
import type { AccessBucket, AccessGrant, AccessObject, AccessRole, Identity } from "./types.ts";
import { inOrder, visibleParts } from "./visible.ts";
import { maySettle, permits, type Reason, verdictOn } from "./verdict.ts";

/** The table of roles, actions and paths, asked of the engine itself. */

const clock = createFakeClock();
const circumstances = {
  address: "10.0.0.1",
  tlsVersion: undefined,
  header: () => undefined,
  parameter: () => undefined,
};

function user(name: string, grants: readonly AccessGrant[]): Identity {
  return { kind: "user", user: name, userId: canonicalUserId(name), accessKeyId: "GFSK", grants };
}
const asker = (identity: Identity) => ({ identity, clock, circumstances });

function catalogOf(
  buckets: readonly AccessBucket[],
  objects: Readonly<Record<string, AccessObject>> = {},
): AccessCatalog {
  return {
    storedBucket: (name) => buckets.find((bucket) => bucket.name === name),
    describeObject: (_ctx, path) => Promise.resolve(objects[path]),
  };
}
const ctx = backgroundCtx();

async function may(role: AccessRole, grantPath: string, action: string, path: string): Promise<boolean> {
  const who = asker(user("ann", [{ path: grantPath, role }]));
  if (action.startsWith("globalfs:")) return await permits(who, askOperation(action, path));
  const catalog = catalogOf([], { [path]: {} });
  const question =
    action === "s3:ListBucket" ? await askListing(catalog, path) : await askPath(ctx, catalog, path, { action });
  return await maySettle(who, question);
}

describe("a grant", () => {
  const READ = ["s3:GetObject", "s3:GetObjectTagging"];
  const WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
  const RULE = [
    "s3:PutBucketPolicy",
    "s3:PutObjectAcl",
    "s3:BypassGovernanceRetention",
    "globalfs:ManageKeys",
    "globalfs:ChangeJob",
    "globalfs:Replicate",
  ];
  const INSIDE = ["data/in", "data/in/", "data/in/a", "data/in/deep/a", "data/in//a", "data/in/../out"];
  const OUTSIDE = [
    "data/in2",
    "data/in2/a",
    "data/i",
    "data",
    "data/",
    "dat/in/a",
    "Data/in/a",
    "data/IN/a",
    "/data/in/a",
    "data/out/a",
    "",
    "in/a",
  ];

  it.each([
    ["reader", READ, [...WRITE, ...RULE]],
    ["writer", [...READ, ...WRITE], RULE],
    ["admin", [...READ, ...WRITE, ...RULE], []],
    ["user", [], [...READ, ...WRITE, ...RULE]],
  ] as const)("of a %s opens what it says, below its path and nowhere else", async (role, open, closed) => {
    for (const path of INSIDE) {
      for (const action of open)
        expect([action, path, await may(role, "data/in", action, path)]).toEqual([action, path, true]);
      for (const action of closed)
        expect([action, path, await may(role, "data/in", action, path)]).toEqual([action, path, false]);
    }
    for (const path of OUTSIDE)
      for (const action of [...open, ...closed])
        expect([action, path, await may(role, "data/in", action, path)]).toEqual([action, path, false]);
  });

  it.each(["globalfs:GetInfo", "globalfs:ListSites", "globalfs:GetMetrics"])(
    "%s needs a reader of everything",
    async (action) => {
      for (const role of ["reader", "writer", "admin"] as const) {
        expect(await may(role, "", action, "")).toBe(true);
        expect(await may(role, "data", action, "")).toBe(false);
      }
      expect(await may("user", "", action, "")).toBe(false);
    },
  );

  it.each(["globalfs:ChangeSites", "globalfs:Import", "globalfs:PauseJobs", "globalfs:ReadAudit"])(
    "%s needs an admin of everything",
    async (action) => {
      expect(await may("admin", "", action, "")).toBe(true);
      expect(await may("admin", "data", action, "")).toBe(false);
      expect(await may("writer", "", action, "")).toBe(false);
    },
  );

  it("covers a listing only with a prefix that leads to no neighbour", async () => {
    for (const prefix of ["data/in/", "data/in/deep/", "data/in/a"])
      expect(await may("reader", "data/in", "s3:ListBucket", prefix)).toBe(true);
    for (const prefix of ["data/in", "data/", "data/i"])
      expect(await may("reader", "data/in", "s3:ListBucket", prefix)).toBe(false);
  });
});

describe("who owns", () => {
  const bucket = { name: "box", owner: "ann", documents: {} };

  it("has the bucket, with a key of the role user that reaches it, and no operation of the coordinator", async () => {
    const owner = (path: string): Identity => user("ann", [{ path, role: "user" }]);
    const ask = async (who: Identity, action: string, path: string): Promise<boolean> =>
      await maySettle(asker(who), await askPath(ctx, catalogOf([bucket], { [path]: {} }), path, { action }));
    for (const action of ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:PutObjectAcl"]) {
      expect(await ask(owner(""), action, "box/a")).toBe(true);
      expect(await ask(owner("box/b"), action, "box/a")).toBe(false);
      expect(await ask(user("bob", [{ path: "", role: "user" }]), action, "box/a")).toBe(false);
      expect(await ask(user("ann", [{ path: "elsewhere", role: "reader" }]), action, "box/a")).toBe(false);
    }
    expect(await permits(asker(owner("")), askOperation("globalfs:ManageKeys", "box"))).toBe(false);
  });
});

describe("the reason", () => {
  const policy = (...Statement: object[]): Readonly<Record<string, string>> => ({
    policy: JSON.stringify({ Version: "2012-10-17", Statement }),
  });
  const about = { Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::box/*" };
  const admin = user("ann", [{ path: "", role: "admin" }]);
  const nobody = user("bob", [{ path: "other", role: "reader" }]);

  it.each([
    ["a grant", admin, {}, "grant"],
    ["a Deny before a grant", admin, policy({ ...about, Effect: "Deny" }), "policy"],
    ["an Allow", nobody, policy({ ...about, Effect: "Allow" }), "policy"],
    ["a policy that cannot be read", admin, { policy: "{}" }, "unreadable-policy"],
    ["nothing", nobody, {}, "nothing"],
  ] as const)("is named: %s", async (_name, who, documents, by) => {
    const catalog = catalogOf([{ name: "box", documents }]);
    const { reason } = await verdictOn(asker(who), await askPath(ctx, catalog, "box/a", { action: "s3:GetObject" }));
    expect(reason.by).toBe(by satisfies Reason["by"]);
  });
});

describe("a policy that may deny something below a directory", () => {
  const bucket = (more: object): AccessBucket => ({
    name: "box",
    documents: {
      policy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          { Effect: "Deny", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::box/*", ...more },
        ],
      }),
    },
  });
  const forbidden = (more: object, prefix: string, name = "bob"): boolean =>
    mayBeForbiddenBelow(asker(user(name, [])), bucket(more), { prefix, actions: ["s3:GetObject", "s3:DeleteObject"] });

  it.each([
    ["of everything", {}, "in/", true],
    ["of one key in it", { Resource: "arn:aws:s3:::box/in/deep/secret" }, "in/", true],
    ["of one key in it, by a wildcard in the middle", { Resource: "arn:aws:s3:::box/*/secret" }, "in/", true],
    ["of any text of a length", { Resource: "arn:aws:s3:::box/i?/x*" }, "in/", true],
    ["by a variable, which may stand for anything", { Resource: "arn:aws:s3:::box/${aws:username}/*" }, "in/", true],
    ["of all but some", { Resource: undefined, NotResource: "arn:aws:s3:::box/in/*" }, "in/", true],
    ["under a condition", { Condition: { StringEquals: { "s3:ExistingObjectTag/a": "b" } } }, "in/", true],
    ["of other actions only", { Action: "s3:PutObject" }, "in/", false],
    ["of others only", { Principal: { AWS: "arn:aws:iam:::user/eve" } }, "in/", false],
    ["of a neighbour only", { Resource: "arn:aws:s3:::box/in2/*" }, "in/", false],
    ["of the directory's name only", { Resource: "arn:aws:s3:::box/in" }, "in/", false],
    ["of a directory beside", { Resource: "arn:aws:s3:::box/out/*" }, "in/", false],
  ])("is found: %s", (_name, more, prefix, expected) => {
    expect(forbidden(more, prefix)).toBe(expected);
  });
});

describe("what a key sees of a listing", () => {
  const seen = (prefix: string, ...paths: string[]) =>
    visibleParts(
      user(
        "ann",
        paths.map((path) => ({ path, role: "reader" as const })),
      ),
      prefix,
    );

  it("is all below its grants, and above them the parts that lead there, in order and once", () => {
    expect(seen("data/in/", "data/in")).toBeUndefined();
    expect(seen("", "")).toBeUndefined();
    expect(seen("", "data/in", "b", "data/in/deep", "b")).toEqual([
      { prefix: "b", exact: true },
      { prefix: "b/" },
      { prefix: "data/in", exact: true },
      { prefix: "data/in/" },
    ]);
    expect(seen("data/in2/", "data/in")).toEqual([]);
    expect(seen("data/in", "data/in")).toEqual([{ prefix: "data/in", exact: true }, { prefix: "data/in/" }]);
    expect(visibleParts(user("ann", [{ path: "", role: "user" }]), "")).toEqual([]);
    expect(inOrder([{ prefix: "\u{10000}/" }, { prefix: "\uffff/" }]).map(({ prefix }) => prefix)).toEqual([
      "\uffff/",
      "\u{10000}/",
    ]);
  });
});
