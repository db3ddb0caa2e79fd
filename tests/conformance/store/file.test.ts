import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { openFileStore } from "../../../src/stores/index.ts";
import { describeStore } from "./suite.ts";

for (const intakeBytes of [0, 64 * 1_024]) {
  describeStore(intakeBytes === 0 ? "file" : "file with an intake", async () => {
    const root = await mkdtemp(path.join(os.tmpdir(), "globalfs-file-"));
    const store = await openFileStore({ root, intakeBytes });
    return {
      store,
      async close() {
        await store.close();
        await rm(root, { recursive: true });
      },
    };
  });
}
