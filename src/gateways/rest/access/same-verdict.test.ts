import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AccessGrant } from "../../../coordinator/index.ts";
import { rigCtx } from "../../../coordinator/testing/rig.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { silentLogger } from "../../../core/ports/log.ts";
import { noMetrics } from "../../../core/ports/metrics.ts";
import { canonicalUserId, createKeyring, tokenOf } from "../../../security/index.ts";
import { type S3Rig, startS3Rig } from "../../s3/testing/s3-rig.ts";
import { createRestGateway, type RestGateway } from "../index.ts";

/** Whatever keys, policies and lists there are: what one door refuses, the other refuses, too. */

let s3: S3Rig;
let rest: RestGateway;
let base: string;
const BUCKET = "box";
const OBJECTS = ["a", "in/a", "in/b", "in2/a", "out/deep/a"];

beforeAll(async () => {
  s3 = await startS3Rig();
  const deps = { service: s3.rig.coordinator, clock: systemClock, log: silentLogger, metrics: noMetrics };
  const keyring = createKeyring([{ name: "nobody", hash: `sha256:${"0".repeat(64)}` }]);
  rest = await createRestGateway({ ...deps, keyring }, { version: "1", maxConcurrentRequests: 100, bodyIdleMs: 1_000 });
  const { port } = await rest.listen({ host: "127.0.0.1", port: 0 });
  base = `http://127.0.0.1:${port}/api/v1`;
  await s3.rig.coordinator.createBucket(rigCtx, { name: BUCKET, owner: "olga" });
});
afterAll(async () => {
  await rest.close({ drainMs: 100 });
  await s3.stop();
});

const user = fc.constantFrom("olga", "bob", "eve");
const grant: fc.Arbitrary<AccessGrant> = fc.record({
  path: fc.constantFrom("", "bo", "box", "box/in", "box/in/a", "box/out/deep", "elsewhere"),
  role: fc.constantFrom("reader", "writer", "admin", "user"),
});
const statement = fc.record({
  Effect: fc.constantFrom("Allow", "Deny"),
  Principal: fc.oneof(
    fc.constant("*"),
    user.map((name) => ({ AWS: `arn:aws:iam:::user/${name}` })),
  ),
  Action: fc.subarray(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:*"], { minLength: 1 }),
  Resource: fc.subarray(
    [
      "arn:aws:s3:::box",
      "arn:aws:s3:::box/*",
      "arn:aws:s3:::box/in/*",
      "arn:aws:s3:::box/out/deep/a",
      "arn:aws:s3:::*",
    ],
    { minLength: 1 },
  ),
});
const documents = fc.record({
  policy: fc.option(
    fc
      .array(statement, { minLength: 1, maxLength: 3 })
      .map((Statement) => JSON.stringify({ Version: "2012-10-17", Statement })),
  ),
  acl: fc.option(
    fc.constantFrom("READ signed", `READ ${canonicalUserId("bob")};WRITE ${canonicalUserId("bob")}`, "WRITE signed"),
  ),
  ownership: fc.option(fc.constantFrom("BucketOwnerEnforced", "ObjectWriter")),
});
const scenario = fc.record({
  who: user,
  grants: fc.array(grant, { minLength: 1, maxLength: 3 }),
  documents,
  /** Of the objects. */
  owner: user,
  accessList: fc.option(fc.constantFrom("READ signed", `READ ${canonicalUserId("bob")}`)),
  key: fc.constantFrom(...OBJECTS, "in/missing", "missing"),
  prefix: fc.constantFrom("in/", "in/a", "out/", "out/deep/", "in2/"),
});

async function throughS3(work: Promise<unknown>): Promise<"denied" | "let in"> {
  try {
    await work;
    return "let in";
  } catch (error) {
    const { httpStatusCode } = (error as { $metadata: { httpStatusCode?: number } }).$metadata;
    return httpStatusCode === 403 ? "denied" : "let in";
  }
}

describe("S3 and REST", () => {
  it("give the same verdict to the same question", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ who, grants, documents: given, owner, accessList, key, prefix }) => {
        const { coordinator } = s3.rig;
        await coordinator.changeBucket(rigCtx, BUCKET, { documents: given });
        for (const each of OBJECTS) {
          await coordinator.putObject(rigCtx, {
            key: `${BUCKET}/${each}`,
            body: (async function* () {
              yield await Promise.resolve(Buffer.from("x"));
            })(),
            owner,
            ...(accessList === null ? {} : { labels: { accessList } }),
          });
        }
        const access = await coordinator.createAccessKey(rigCtx, { user: who, grants });
        const client = s3.clientOf(access);
        const headers = { "x-globalfs-api-key": tokenOf(access) };
        const throughRest = async (method: string, address: string): Promise<"denied" | "let in"> => {
          const body = method === "PUT" ? { body: "new" } : {};
          const answer = await fetch(`${base}/${address}`, { method, headers, ...body });
          await answer.arrayBuffer();
          return answer.status === 403 ? "denied" : "let in";
        };
        try {
          const address = `objects/${BUCKET}/${key}`;
          const at = { Bucket: BUCKET, Key: key };
          const listed = await throughS3(client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix })));
          const pairs = [
            ["GET", await throughS3(client.send(new GetObjectCommand(at))), await throughRest("GET", address)],
            ["HEAD", await throughS3(client.send(new HeadObjectCommand(at))), await throughRest("HEAD", address)],
            [
              "explain",
              await throughS3(client.send(new HeadObjectCommand(at))),
              await throughRest("GET", `explain/${BUCKET}/${key}`),
            ],
            [
              "PUT",
              await throughRest("PUT", address),
              await throughS3(client.send(new PutObjectCommand({ ...at, Body: "new" }))),
            ],
            ["DELETE", await throughRest("DELETE", address), await throughS3(client.send(new DeleteObjectCommand(at)))],
          ];
          for (const [what, one, other] of pairs) expect([what, one]).toEqual([what, other]);
          const answer = await fetch(`${base}/objects?prefix=${BUCKET}/${prefix}`, { headers });
          const shown =
            answer.status === 200 ? ((await answer.json()) as { key: string }[]).map((object) => object.key) : [];
          if (listed === "let in") expect(answer.status).toBe(200);
          else {
            // Only what grants further down open, and only where no policy closes that.
            const below = grants.filter(({ role }) => role !== "user").map(({ path }) => path);
            for (const each of shown)
              expect(below.some((path) => each === path || each.startsWith(`${path}/`))).toBe(true);
          }
        } finally {
          client.destroy();
          await coordinator.deleteAccessKey(rigCtx, access.id);
        }
      }),
      { numRuns: process.env["GLOBALFS_LONG"] === "1" ? 500 : 15 },
    );
  });
});
