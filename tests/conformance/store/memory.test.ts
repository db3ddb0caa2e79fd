import { createMemoryStore } from "../../../src/stores/index.ts";
import { describeStore } from "./suite.ts";

describeStore("memory", async () => {
  const store = createMemoryStore();
  return { store, close: async () => await store.close() };
});
