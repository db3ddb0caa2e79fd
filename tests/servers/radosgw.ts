/** A real S3 server for tests: Ceph's gateway from the distribution's packages, on loopback, its data in memory. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { findProgram, freePort, missingServer, readIfThere, scriptPath, shareServer } from "./shared-server.ts";

export interface S3Server {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface TestBucket {
  readonly name: string;
  /** With all that is in it. */
  remove(): Promise<void>;
}

const PROGRAMS = ["ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"];

interface Address {
  readonly gatewayPort: number;
  readonly monitorPort: number;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Undefined, with the reason printed, where the programs are missing. `GLOBALFS_TEST_S3=ENDPOINT,ACCESS_KEY,SECRET_KEY`
 * names a server that runs already.
 */
export async function startRadosgw(): Promise<S3Server | undefined> {
  const given = process.env["GLOBALFS_TEST_S3"]?.split(",");
  if (given !== undefined) {
    const [endpoint = "", accessKeyId = "", secretAccessKey = ""] = given;
    return { endpoint, region: "us-east-1", accessKeyId, secretAccessKey };
  }
  for (const program of PROGRAMS) {
    if ((await findProgram(program)) === undefined) {
      return missingServer(
        `no real S3 server, as ${program} is not installed (apt-get install ceph-mon ceph-osd radosgw ceph-common)`,
      );
    }
  }
  const { gatewayPort, accessKeyId, secretAccessKey } = await shareServer<Address>({
    name: "radosgw",
    prepare: async () => ({
      gatewayPort: await freePort(),
      monitorPort: await freePort(),
      accessKeyId: randomBytes(10).toString("hex"),
      secretAccessKey: randomBytes(20).toString("hex"),
    }),
    command: (address, directory) => ({
      command: scriptPath("radosgw.sh"),
      args: [
        directory,
        String(address.gatewayPort),
        String(address.monitorPort),
        address.accessKeyId,
        address.secretAccessKey,
      ],
    }),
    ready: async (_address, directory) => (await readIfThere(join(directory, "ready"))) !== undefined,
  });
  return { endpoint: `http://127.0.0.1:${gatewayPort}`, region: "us-east-1", accessKeyId, secretAccessKey };
}

/** A client that shares no code with the driver. */
export function independentClient(server: S3Server): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

export async function createBucket(server: S3Server): Promise<TestBucket> {
  const client = independentClient(server);
  const name = `test-${randomBytes(8).toString("hex")}`;
  await client.send(new CreateBucketCommand({ Bucket: name }));
  return {
    name,
    async remove() {
      await empty(client, name);
      await client.send(new DeleteBucketCommand({ Bucket: name }));
      client.destroy();
    },
  };
}

async function empty(client: S3Client, bucket: string): Promise<void> {
  for (;;) {
    const { Contents: objects = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    if (objects.length === 0) break;
    await Promise.all(objects.map(({ Key }) => client.send(new DeleteObjectCommand({ Bucket: bucket, Key }))));
  }
  const { Uploads: uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  await Promise.all(
    uploads.map(({ Key, UploadId }) => client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }))),
  );
}
