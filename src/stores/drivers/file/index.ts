export { linkSafety } from "./disk/open-without-links.ts";
export { type FileStoreConfig, type FileStoreDeps, openFileStore } from "./store.ts";
