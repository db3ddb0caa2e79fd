import { Agent } from "node:http";
import { S3Client } from "@aws-sdk/client-s3";
import type { S3Endpoint } from "./s3-endpoint.ts";

/** Clients with one connection each, so that in turn each reaches the next process of the endpoint. They ask once. */
export function dealtClients(s3: S3Endpoint, count: number, { maxAttempts = 1 } = {}): S3Client[] {
  return Array.from(
    { length: count },
    () =>
      new S3Client({
        endpoint: s3.url,
        region: s3.region,
        forcePathStyle: true,
        maxAttempts,
        credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
        requestHandler: { httpAgent: new Agent({ keepAlive: true, maxSockets: 1 }) },
      }),
  );
}
