export type {
  AzureStoreConfig,
  BandwidthLimit,
  Config,
  FileStoreConfig,
  GcsStoreConfig,
  MemoryStoreConfig,
  S3Config,
  S3StoreConfig,
  SiteConfig,
  StoreConfig,
  TlsConfig,
} from "./config.ts";
export { type LoadedConfig, loadConfig, type LoadOptions, redactConfig } from "./load.ts";
export { configReference } from "./reference.ts";
export { configTemplate } from "./template.ts";
export { parse as parseYaml } from "yaml";
