export { type FileStoreConfig, type FileStoreDeps, openFileStore } from "./store.ts";
