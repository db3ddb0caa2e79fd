export type { FileStoreConfig, FileStoreDeps } from "./config.ts";
export { MAX_INTAKE_BYTES } from "./config.ts";
export { linkSafety } from "./disk/open-without-links.ts";
export { openFileStore } from "./opening.ts";
