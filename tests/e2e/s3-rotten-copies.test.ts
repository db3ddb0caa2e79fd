import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rot } from "../semantics/matrix.ts";
import { dealtClients } from "./support/dealt-clients.ts";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";
import { until } from "./support/until.ts";

/** R6 through the built daemon: whichever process answers, and with a cache in each. */

const Bucket = "kept";

describe.each([1, 2])("with %i processes and a cache", (workers) => {
  let s3: S3Endpoint;
  let clients: S3Client[];
  beforeAll(async () => {
    s3 = await startS3Endpoint("rotten", { workers }, { cache: { enabled: true } });
    clients = dealtClients(s3, 2 * workers);
    await (clients[0] as S3Client).send(new CreateBucketCommand({ Bucket }));
  });
  afterAll(async () => {
    for (const client of clients ?? []) client.destroy();
    await s3?.stop();
  });

  const read = async (client: S3Client, Key: string, Range?: string): Promise<Uint8Array | undefined> => {
    try {
      const { Body } = await client.send(
        new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) }),
      );
      return await Body?.transformToByteArray();
    } catch {
      return undefined;
    }
  };

  test.each([700, 900_000, 3_000_000, 9_500_000])(
    "an object of %i bytes that rots at the primary is never given out wrong as a whole, and is mended there",
    async (sizeBytes) => {
      const Key = `object-${sizeBytes}`;
      const body = randomBytes(sizeBytes);
      await (clients[0] as S3Client).send(new PutObjectCommand({ Bucket, Key, Body: body }));
      const pathAt = (site: string): string => join(s3.directory, site, Bucket, Key);
      const holds = (site: string): boolean => {
        try {
          return readFileSync(pathAt(site)).equals(body);
        } catch {
          return false;
        }
      };
      await until("the other site has its copy", async () => holds("cloud"));
      rot(pathAt("onprem"), Math.floor(sizeBytes / 2));
      expect(holds("onprem")).toBe(false);
      for (const range of [undefined, "bytes=0-", undefined])
        for (const client of clients) {
          const found = await read(client, Key, range);
          expect(found === undefined || body.equals(found)).toBe(true);
        }
      await until("the copy is mended", async () => holds("onprem"));
      for (const client of clients) expect(body.equals((await read(client, Key)) ?? new Uint8Array(0))).toBe(true);
    },
  );
});
