import { randomBytes } from "node:crypto";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { describe } from "vitest";
import { createAzureStore } from "../../../src/stores/drivers/azure/index.ts";
import { startAzurite } from "../../servers/azurite.ts";
import { describeStore, type OpenedStore } from "./suite.ts";

const server = await startAzurite();

function opens(prefix: string): () => Promise<OpenedStore> {
  return async () => {
    if (server === undefined) throw new Error("there is no Azurite");
    const { endpoint, account, accountKey } = server;
    const name = `test-${randomBytes(8).toString("hex")}`;
    const container = new ContainerClient(`${endpoint}/${name}`, new StorageSharedKeyCredential(account, accountKey));
    await container.create();
    const store = await createAzureStore({ container: name, account, endpoint, accountKey, prefix });
    return {
      store,
      async close() {
        await store.close();
        await container.delete();
      },
    };
  };
}

describe.skipIf(server === undefined)("at Azurite", () => {
  describeStore("azure", opens(""), { modelRuns: 15 });
  describeStore("azure below a prefix", opens("sites/one"), {
    modelRuns: 5,
    except: { "1,024 bytes": "the prefix takes its part of the 1,024 characters" },
  });
});
