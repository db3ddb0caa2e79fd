import { createMemoryKv } from "../../../src/kv/index.ts";
import { describeEngine } from "./suite.ts";

describeEngine({
  name: "memory",
  async open() {
    const kv = createMemoryKv();
    return { kv, dispose: async () => await kv.close() };
  },
});
