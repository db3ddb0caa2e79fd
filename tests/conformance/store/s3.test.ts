import { describe } from "vitest";
import { createS3Store } from "../../../src/stores/drivers/s3/index.ts";
import { createBucket, startRadosgw } from "../../servers/radosgw.ts";
import { describeStore, type OpenedStore } from "./suite.ts";

const server = await startRadosgw();

function opens(prefix: string): () => Promise<OpenedStore> {
  return async () => {
    if (server === undefined) throw new Error("there is no S3 server");
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const bucket = await createBucket(server);
    const credentials = { accessKeyId, secretAccessKey };
    const store = createS3Store({ bucket: bucket.name, endpoint, region, credentials, prefix });
    return {
      store,
      async close() {
        await store.close();
        await bucket.remove();
      },
    };
  };
}

const RADOSGW = {
  "may be left out": "radosgw completes an upload only with every part that arrived",
  "stay when completing them is refused": "radosgw completes an upload whatever conditions it is given",
};

describe.skipIf(server === undefined)("at a real S3 server", () => {
  describeStore("s3", opens(""), { except: RADOSGW });
  describeStore("s3 below a prefix", opens("sites/one"), {
    modelRuns: 10,
    except: { ...RADOSGW, "1,024 bytes": "the prefix takes its part of the 1,024 bytes" },
  });
});
