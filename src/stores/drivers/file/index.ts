export type { FileStoreConfig, FileStoreDeps } from "./config.ts";
export { linkSafety } from "./disk/open-without-links.ts";
export { openFileStore } from "./opening.ts";
