import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openFileStore } from "../../../src/stores/index.ts";
import { describeStore } from "./suite.ts";

describeStore("file", async () => {
  const root = await mkdtemp(path.join(os.tmpdir(), "globalfs-file-"));
  const store = await openFileStore({ root });
  return {
    store,
    async close() {
      await store.close();
      await rm(root, { recursive: true });
    },
  };
});
