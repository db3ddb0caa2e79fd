export type {
  AzureStoreConfig,
  BandwidthLimit,
  Config,
  FileStoreConfig,
  GcsStoreConfig,
  MemoryStoreConfig,
  S3StoreConfig,
  SiteConfig,
  StoreConfig,
} from "./config.ts";
export { documentedVariables, type LoadedConfig, loadConfig, type LoadOptions, redactConfig } from "./load.ts";
export { configSchema } from "./schema.ts";
export { configTemplate } from "./template.ts";
