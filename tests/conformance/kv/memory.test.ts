import { createMemoryKv } from "../../../src/kv/index.ts";
import { describeDurability } from "./durability-suite.ts";
import { describeEngine, type EngineUnderTest } from "./suite.ts";

const engine: EngineUnderTest = {
  name: "memory",
  async open() {
    const kv = createMemoryKv();
    return { kv, dispose: async () => await kv.close() };
  },
};
describeEngine(engine);
describeDurability(engine);
