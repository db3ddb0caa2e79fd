import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { expect, onTestFinished } from "vitest";
import type { AccessGrant, KnownAccessKey } from "../../src/coordinator/index.ts";
import { rigCtx } from "../../src/coordinator/testing/rig.ts";
import { systemClock } from "../../src/core/ports/clock.ts";
import { silentLogger } from "../../src/core/ports/log.ts";
import { noMetrics } from "../../src/core/ports/metrics.ts";
import { createRestGateway } from "../../src/gateways/rest/index.ts";
import { startS3Rig } from "../../src/gateways/s3/testing/s3-rig.ts";
import { createKeyring, tokenOf } from "../../src/security/index.ts";
import { type Door, everywhere } from "./matrix.ts";

/** Both doors before one coordinator, and keys that come by either. */

interface Asked {
  readonly s3: number;
  readonly rest: number;
}

async function start({ prepare }: Door) {
  const { options } = await prepare({ local: "primary", cloud: "burst" });
  const s3 = await startS3Rig({ rig: options });
  const { coordinator, put } = s3.rig;
  const rest = await createRestGateway(
    {
      service: coordinator,
      keyring: createKeyring([{ name: "operator", hash: `sha256:${"0".repeat(64)}` }]),
      clock: systemClock,
      log: silentLogger,
      metrics: noMetrics,
    },
    { version: "1", maxConcurrentRequests: 100, bodyIdleMs: 1_000 },
  );
  const { port } = await rest.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(async () => {
    await rest.close({ drainMs: 100 });
    await s3.stop();
  });
  const key = async (user: string, ...grants: AccessGrant[]): Promise<KnownAccessKey> => await s3.key(user, grants);
  const call = async (who: KnownAccessKey, method: string, path: string, body?: object | string): Promise<Response> =>
    await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, {
      method,
      headers: { "x-globalfs-api-key": tokenOf(who), "content-type": "application/json" },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  const status = async (work: Promise<unknown>): Promise<number> =>
    await work.then(
      (answer) => (answer as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode,
      (error: unknown) => (error as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode,
    );
  const clients = new Map<KnownAccessKey, S3Client>();
  const ask = async (
    who: KnownAccessKey,
    method: "GET" | "PUT" | "DELETE",
    Bucket: string,
    Key: string,
  ): Promise<Asked> => {
    const client = clients.get(who) ?? s3.clientOf(who);
    clients.set(who, client);
    const command =
      method === "GET"
        ? client.send(new GetObjectCommand({ Bucket, Key }))
        : method === "PUT"
          ? client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))
          : client.send(new DeleteObjectCommand({ Bucket, Key }));
    const through = await status(command);
    const answer = await call(who, method, `objects/${Bucket}/${Key}`, method === "PUT" ? "x" : undefined);
    await answer.arrayBuffer();
    return { s3: through, rest: answer.status };
  };
  return { coordinator, put, key, call, ask, status, clientOf: s3.clientOf };
}

everywhere("A1 What is denied through one door is denied through the other", async (door) => {
  const { coordinator, put, key, ask, call } = await start(door);
  await put("box/open", "x");
  await put("box/closed/a", "x");
  await coordinator.createBucket(rigCtx, { name: "box", owner: "olga" });
  const policy = JSON.stringify({
    Statement: [
      {
        Effect: "Deny",
        Principal: "*",
        Action: ["s3:GetObject", "s3:PutObject"],
        Resource: "arn:aws:s3:::box/closed/*",
      },
    ],
  });
  await coordinator.changeBucket(rigCtx, "box", { documents: { policy } });
  const admin = await key("root", { path: "", role: "admin" });
  const stranger = await key("bob", { path: "", role: "user" });
  expect(await ask(admin, "GET", "box", "open")).toEqual({ s3: 200, rest: 200 });
  for (const method of ["GET", "PUT"] as const) {
    expect(await ask(admin, method, "box", "closed/a")).toEqual({ s3: 403, rest: 403 });
    expect(await ask(stranger, method, "box", "open")).toEqual({ s3: 403, rest: 403 });
  }
  for (const [from, to] of [
    ["box/closed/", "else/"],
    ["box/", "else/"],
    ["box/closed/a", "else/a"],
    ["box/open", "box/closed/b"],
  ])
    expect((await call(admin, "POST", "rename", { from, to })).status).toBe(403);
});

everywhere(
  "A2 A key opens what its grants say, whole names deep, and sees in listings nothing else but the way there",
  async (door) => {
    const { put, key, ask, call, clientOf, status } = await start(door);
    for (const path of ["data/in/a", "data/in2/a", "data/out/a", "other/a"]) await put(path, "x");
    const reader = await key("rita", { path: "data/in", role: "reader" });
    expect(await ask(reader, "GET", "data", "in/a")).toEqual({ s3: 200, rest: 200 });
    for (const path of ["in2/a", "out/a", "IN/a"])
      expect(await ask(reader, "GET", "data", path)).toEqual({ s3: 403, rest: 403 });
    for (const method of ["PUT", "DELETE"] as const)
      expect(await ask(reader, method, "data", "in/a")).toEqual({ s3: 403, rest: 403 });
    const listed = (await (await call(reader, "GET", "objects")).json()) as { key: string }[];
    expect(listed.map((object) => object.key)).toEqual(["data/in/a"]);
    const way = (await (await call(reader, "GET", "objects?delimiter=/")).json()) as object;
    expect(way).toMatchObject({ objects: [], prefixes: ["data/"] });
    expect(await status(clientOf(reader).send(new ListObjectsV2Command({ Bucket: "data", Prefix: "in" })))).toBe(403);
    expect(await status(clientOf(reader).send(new ListObjectsV2Command({ Bucket: "data", Prefix: "in/" })))).toBe(200);
  },
);

everywhere(
  "A3 A key that was revoked opens nothing from the next request on, and one that ends nothing from its end on",
  async (door) => {
    const { coordinator, put, key, ask } = await start(door);
    await put("data/a", "x");
    const revoked = await key("rita", { path: "data", role: "reader" });
    expect(await ask(revoked, "GET", "data", "a")).toEqual({ s3: 200, rest: 200 });
    await coordinator.deleteAccessKey(rigCtx, revoked.id);
    expect(await ask(revoked, "GET", "data", "a")).toEqual({ s3: 403, rest: 401 });
    const ending = await coordinator.createAccessKey(rigCtx, {
      user: "rita",
      grants: [{ path: "data", role: "reader" }],
      lifetimeMs: 1_000,
    });
    expect((await ask(ending, "GET", "data", "a")).rest).toBe(200);
    await expect.poll(async () => (await ask(ending, "GET", "data", "a")).rest, { timeout: 5_000 }).toBe(401);
  },
);

everywhere("A4 Nobody gives more than he has", async (door) => {
  const { key, call } = await start(door);
  const ann = await key("ann", { path: "data", role: "admin" });
  const make = async (user: string, ...grants: AccessGrant[]): Promise<number> =>
    (await call(ann, "POST", "keys", { user, grants })).status;
  expect(await make("ann+reports", { path: "data/reports", role: "writer" })).toBe(201);
  expect(await make("ann", { path: "data", role: "admin" })).toBe(201);
  expect(await make("ann", { path: "", role: "reader" })).toBe(403);
  expect(await make("ann", { path: "data", role: "reader" }, { path: "other", role: "reader" })).toBe(403);
  expect(await make("bob", { path: "data", role: "reader" })).toBe(403);
  const writer = await key("will", { path: "data", role: "writer" });
  expect(
    (await call(writer, "POST", "keys", { user: "will", grants: [{ path: "data", role: "reader" }] })).status,
  ).toBe(403);
});

everywhere("A5 A refusal is the same whether there is something or not", async (door) => {
  const { put, key, call } = await start(door);
  await put("data/secret/there", "x");
  const reader = await key("rita", { path: "data/in", role: "reader" });
  const said = async (method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await call(reader, method, path, body);
    const { request_id: _, ...rest } = (await answer.json()) as Record<string, unknown>;
    return [answer.status, rest];
  };
  for (const method of ["GET", "DELETE"])
    expect(await said(method, "objects/data/secret/there")).toEqual(await said(method, "objects/data/secret/missing"));
  expect(await said("GET", "explain/data/secret/there")).toEqual(await said("GET", "explain/data/secret/missing"));
  expect(await said("GET", "objects?prefix=data/secret/")).toEqual(await said("GET", "objects?prefix=data/nothing/"));
  expect(await said("POST", "rename", { from: "data/secret/there", to: "data/in/x" })).toEqual(
    await said("POST", "rename", { from: "data/secret/missing", to: "data/in/x" }),
  );
});
