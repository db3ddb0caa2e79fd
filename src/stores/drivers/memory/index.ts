export { createMemoryStore, type MemoryStoreConfig } from "./store.ts";
