export type { MemoryStoreConfig } from "./config.ts";
export { createMemoryStore } from "./store.ts";
